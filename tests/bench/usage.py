"""What processes use, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import process

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """In bytes. Pages that processes share count in each one's `rss`, and by their part in `pss`."""

    rss: int = 0
    pss: int = 0


def memory(pids: Iterable[int]) -> Memory:
    """Add up what these processes hold; one that has ended holds nothing."""
    rss = pss = 0
    for pid in pids:
        values = _rollup(pid)
        rss += values.get("Rss", 0)
        pss += values.get("Pss", 0)
    return Memory(rss, pss)


def _rollup(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    fields = (line.split() for line in lines)
    return {parts[0].rstrip(":"): int(parts[1]) << 10 for parts in fields}


def cpu(pids: Iterable[int]) -> float:
    """Return the CPU seconds of these processes, and of the children that they have waited for."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(map(int, fields[11:15]))
    return total / _TICKS


def percent(pids: Callable[[], Iterable[int]], duration: float) -> float:
    """Return how much of a core they use during so many seconds; the processes themselves must live on."""
    chosen = list(pids())
    before, begun = cpu(chosen), time.perf_counter()
    time.sleep(duration)
    return (cpu(chosen) - before) / (time.perf_counter() - begun) * 100


def working_in(directory: Path) -> list[process.Stat]:
    """Return the processes whose working directory this is, or is below it."""
    found = []
    for stat in process.running():
        try:
            place = os.readlink(f"/proc/{stat.pid}/cwd")
        except OSError:  # it has ended
            continue
        if f"{place}/".startswith(f"{directory}/"):
            found.append(stat)
    return found
