"""What sstat said of running jobs, understood; pure.

sstat(1) knows a job's steps: a pod is one, the batch step, its supervisor included. So there are figures for a pod
of which one container runs; of several, it cannot be told which has used how much, and nothing is said. CPU counts
from the job's start; memory is what was resident when Slurm last looked (JobAcctGatherFrequency).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from interlink.errors import OutcomeUnknown
from interlink.model.status import PodStatus, Running
from interlink.model.usage import ContainerUsage

FORMAT = "JobID,AveCPU,AveRSS"  # of a batch step, which is one task, the average is the sum
_BATCH = ".batch"
_TIME = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+(?:\.\d+)?)")  # [[DAYS-]HOURS:]MINUTES:SECONDS
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)")
_UNITS = " KMGTP"


@dataclass(frozen=True)
class Step:
    """What a batch step has used; None: not known."""

    cpu_seconds: float | None
    memory_bytes: int | None


def steps(output: str) -> dict[str, Step]:
    """Read the output of stats.sh: batch steps by their jobs' ids; OutcomeUnknown if its end is missing.

    >>> steps("7.batch|1-00:01:02|2M\\n7.0|00:00:01|1K\\n8.batch||\\nE\\n")
    {'7': Step(cpu_seconds=86462.0, memory_bytes=2097152), '8': Step(cpu_seconds=None, memory_bytes=None)}
    """
    *lines, end = output.splitlines() or [""]
    if end != "E":
        raise OutcomeUnknown("the host's answer about its use is incomplete")
    found = {}
    for line in lines:
        step, cpu, memory = [*line.split("|"), "", ""][:3]
        if step.endswith(_BATCH):
            found[step.removesuffix(_BATCH)] = Step(_seconds(cpu), _bytes(memory))
    return found


def running(statuses: Iterable[PodStatus]) -> dict[str, PodStatus]:
    """Return by their jobs' ids the pods of which exactly one container runs."""
    return {status.jid: status for status in statuses if status.jid and len(_running(status)) == 1}


def of_pods(found: Mapping[str, Step], pods: Mapping[str, PodStatus]) -> dict[str, tuple[ContainerUsage, ...]]:
    """Return by UID what the running containers of these pods have used."""
    used: dict[str, tuple[ContainerUsage, ...]] = {}
    for job, status in pods.items():
        if (step := found.get(job)) is not None:
            ((name, began),) = ((name, state.started_at) for name, state in _running(status))
            used[status.uid] = (ContainerUsage(name, step.cpu_seconds, step.memory_bytes, began),)
    return used


def _running(status: PodStatus) -> list[tuple[str, Running]]:
    return [(c.name, c.state) for c in status.containers if isinstance(c.state, Running)]


def _seconds(text: str) -> float | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _bytes(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    return None if match is None else round(float(match[1]) * 1024 ** _UNITS.index(match[2] or " "))
