"""What stats.sh printed of the pods' processes, understood; pure.

CPU is that of the living processes and of the children that they have waited for: what an orphan used is lost
with its end. Memory is the proportional set size, in which shared pages count once.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from interlink.errors import OutcomeUnknown
from interlink.model.usage import ContainerUsage, HostUsage
from interlink.remote import usage

_UTIME, _CSTIME, _STARTED = 11, 14, 19  # fields of /proc/PID/stat behind the command, from 0 (proc_pid_stat(5))


@dataclass
class _Sum:
    ticks: int = 0
    bytes: int | None = 0
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


def _sums(lines: list[str]) -> dict[tuple[str, str], _Sum]:
    marks: dict[str, tuple[str, str]] = {}
    memory: dict[str, int] = {}
    stats: dict[str, list[str]] = {}
    for line in lines:
        path, _, text = line.partition(":")
        pid, _, file = path.removeprefix("/proc/").partition("/")
        if file == "environ":
            uid, name, _ = [*text.removeprefix("IL_CONTAINER=").split("/"), "", ""][:3]
            marks[pid] = (uid, name)
        elif file == "stat":
            stats[pid] = text.rpartition(") ")[2].split()
        elif file == "smaps_rollup":
            memory[pid] = int(text.split()[1]) << 10
    sums: dict[tuple[str, str], _Sum] = defaultdict(_Sum)
    for pid, fields in stats.items():
        if pid in marks:
            _add(sums[marks[pid]], fields, memory.get(pid))
    return sums


def _add(total: _Sum, fields: list[str], memory: int | None) -> None:
    total.ticks += sum(int(field) for field in fields[_UTIME : _CSTIME + 1])
    total.bytes = None if total.bytes is None or memory is None else total.bytes + memory
    started = int(fields[_STARTED])
    total.started = started if total.started is None else min(total.started, started)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
