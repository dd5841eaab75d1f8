"""200 docker pods that do nothing: what they cost in the server, and on their host beside the engine's own.

The pods have a pause container each and are the supervisor's business, the dearest kind there is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from interlink.model.status import Phase
from tests.bench import pods, usage
from tests.bench.measure import Row, Size, wait
from tests.bench.mock import Weight
from tests.bench.stand import PATIENCE, Stand, docker_stand
from tests.lab import process


def rows(size: Size) -> Iterator[Row]:
    duration, counts = size.of(20, 3), (size.of(10, 2), size.of(200, 10))
    with docker_stand() as stand:
        empty = Weight(stand.served, duration)
        few = _grown(stand, counts[0], counts[0], duration)
        many = _grown(stand, counts[1] - counts[0], counts[1], duration)
        yield from Weight(stand.served, duration).rows(f"{counts[-1]} docker pods", empty)
        yield from _on_host(few, many)


def _grown(stand: Stand, more: int, count: int, duration: float) -> OnHost:
    """Create so many more, which makes `count`, and look once all is quiet."""
    stand.served.create_all([pods.pod(policy="OnFailure") for _ in range(more)], 4)
    wait(lambda: _running(stand) == count, "all are seen to run", PATIENCE)
    time.sleep(2)  # the last steps and observations
    return OnHost(stand, count, duration)


class OnHost:
    """Our processes on the host, and what the engine runs for our pods."""

    def __init__(self, stand: Stand, count: int, duration: float) -> None:
        self.pods = count
        self.ours = usage.working_in(stand.on_host)
        leader = int((stand.on_host / "supervisor").read_text().split()[0])
        self.supervisor = [leader, *(stat.pid for stat in process.descendants(leader))]
        self.cpu = usage.percent(lambda: self.supervisor, duration)
        self.memory, self.supervisor_memory = (
            usage.memory(stat.pid for stat in self.ours),
            usage.memory(self.supervisor),
        )
        self.shims = _shims(stand)
        self.shim_memory = usage.memory(self.shims)


def _running(stand: Stand) -> int:
    return sum(status.phase is Phase.RUNNING for status in stand.served.ours.status())


def _shims(stand: Stand) -> list[int]:
    ids = set(stand.containers())
    found = []
    for stat in process.running():
        if stat.comm.startswith("containerd-shim"):
            arguments = Path(f"/proc/{stat.pid}/cmdline").read_bytes().decode().split("\0")
            if ids & set(arguments):
                found.append(stat.pid)
    return found


def _on_host(few: OnHost, many: OnHost) -> Iterator[Row]:
    more, mine, theirs = many.pods - few.pods, many.supervisor_memory, few.supervisor_memory
    names = ", ".join(sorted({stat.comm for stat in many.ours}))
    note, what = f"floor: with {few.pods} pods", f"supervisor, {many.pods} pods"
    beside = f"beside {len(many.shims)} shims of {many.shim_memory.pss / 2**20 / max(1, len(many.shims)):.1f} MiB PSS"
    yield Row("host: our processes", "processes", len(many.ours), len(few.ours), note=f"{names}; {note}")
    yield Row("host: our processes per pod", "processes", (len(many.ours) - len(few.ours)) / more, note=beside)
    yield Row("host: our memory (PSS) per pod", "KiB", (many.memory.pss - few.memory.pss) / more / 1024, note=beside)
    yield Row(f"{what}: processes", "processes", len(many.supervisor), len(few.supervisor), note=note)
    yield Row(f"{what}: RSS", "MiB", mine.rss / 2**20, theirs.rss / 2**20, note=note)
    yield Row(f"{what}: PSS", "MiB", mine.pss / 2**20, theirs.pss / 2**20, note=note)
    yield Row(f"{what}: idle CPU", "% of a core", many.cpu, few.cpu, note=note)
