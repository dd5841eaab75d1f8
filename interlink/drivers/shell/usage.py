"""What stats.sh printed of the pods' processes, understood; pure.

CPU is that of the living processes and of the children that they have waited for: what an orphan used is lost
with its end. Memory is the proportional set size, in which shared pages count once; of a process that was gone when
that was read, or that hides it, the resident set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from interlink.errors import OutcomeUnknown
from interlink.model.usage import ContainerUsage, HostUsage
from interlink.remote import usage

# Fields of /proc/PID/stat behind the command, from 0 (proc_pid_stat(5)).
_STATE, _PARENT, _SESSION, _UTIME, _CSTIME, _STARTED, _PAGES = 0, 1, 3, 11, 14, 19, 21
_ENDED = "ZX"  # states of a process that has no memory any more

_Container = tuple[str, str]  # the pod's UID, the container's name


@dataclass
class _Sum:
    ticks: int = 0
    bytes: int = 0
    started: int | None = None  # ticks since boot


def parse(output: str) -> HostUsage:
    """Read the output of stats.sh; OutcomeUnknown if its end is missing."""
    lines = output.splitlines()
    if not lines or lines[-1] != "E":
        raise OutcomeUnknown("the host's answer about its use is incomplete")
    machine = usage.read(lines)
    pods: dict[str, list[ContainerUsage]] = defaultdict(list)
    for (uid, name), total in _sums(lines).items():
        begun = total.started
        started_at = None if begun is None else _moment(machine.booted + begun / machine.ticks)
        pods[uid].append(ContainerUsage(name, total.ticks / machine.ticks, total.bytes, started_at))
    return replace(machine.usage(), pods={uid: tuple(containers) for uid, containers in pods.items()})


def _sums(lines: list[str]) -> dict[_Container, _Sum]:
    marks: dict[str, _Container] = {}
    sessions: dict[str, _Container] = {}
    memory: dict[str, int] = {}
    stats: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("S "):
            _, uid, name, session = line.split()
            sessions[session] = (uid, name)
            continue
        path, _, text = line.partition(":")
        pid, _, file = path.removeprefix("/proc/").partition("/")
        if file == "environ":
            uid, name, _ = [*text.removeprefix("IL_CONTAINER=").split("/"), "", ""][:3]
            marks[pid] = (uid, name)
        elif file == "stat":
            stats[pid] = text.rpartition(") ")[2].split()
        elif file == "smaps_rollup":
            memory[pid] = int(text.split()[1]) << 10
    page = next((int(line.split()[1]) for line in lines if line.startswith("P ")), 4096)
    sums: dict[_Container, _Sum] = defaultdict(_Sum)
    for pid, fields in stats.items():
        if fields[_SESSION] in sessions:
            marks.setdefault(pid, sessions[fields[_SESSION]])
    parents = {pid: fields[_PARENT] for pid, fields in stats.items()}
    for pid, fields in stats.items():
        mark = _mark(pid, marks, parents)
        if mark is not None:
            resident = int(fields[_PAGES]) * page
            _add(sums[mark], fields, 0 if fields[_STATE] in _ENDED else memory.get(pid, resident))
    return sums


def _mark(pid: str, marks: Mapping[str, _Container], parents: Mapping[str, str]) -> _Container | None:
    """Return the container of a process: its own mark, or that of its nearest ancestor."""
    for _ in range(len(parents) + 1):  # the files were read one after the other: a number may be used again
        if pid in marks:
            return marks[pid]
        if pid not in parents:
            return None
        pid = parents[pid]
    return None


def _add(total: _Sum, fields: list[str], memory: int) -> None:
    total.ticks += sum(int(field) for field in fields[_UTIME : _CSTIME + 1])
    total.bytes += memory
    started = int(fields[_STARTED])
    total.started = started if total.started is None else min(total.started, started)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
