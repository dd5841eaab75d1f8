"""Thousands of pods in one server: `/status` in one call, memory, idle CPU. Mock hosts, a real process.

The floor of an answer is `json.dumps` of the same answer here; that of memory and CPU the same server when empty.
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from interlink.model.pod import PodRequest
from tests.bench import pods, usage
from tests.bench.measure import Row, Size, in_turn, seconds
from tests.bench.stand import Served, serving

HOST = {"interlink_driver": "mock", "ansible_connection": "local"}
FOREVER = {"mock.interlink.eu/run": "forever"}
WEIGHED = 5000  # pods with which the server's memory and CPU are looked at


def rows(size: Size) -> Iterator[Row]:
    counts = (1000,) if size.quick else (1000, WEIGHED, 10_000)
    with tempfile.TemporaryDirectory(prefix="ilb") as name, serving(Path(name), {"mock1": HOST}) as served:
        before = Weight(served, size.of(20, 2))
        made: list[PodRequest] = []
        for count in counts:
            more = [pods.pod(annotations=FOREVER) for _ in range(count - len(made))]
            served.create_all(more, 4)
            made += more
            if count == (1000 if size.quick else WEIGHED):
                yield from Weight(served, size.of(20, 2)).rows(f"{count} mock pods", before)
            if count != WEIGHED:
                yield from _answers(served, made, size.of(7, 3))


def _answers(served: Served, made: Sequence[PodRequest], rounds: int) -> Iterator[Row]:
    named = json.dumps([request.pod.raw for request in made]).encode()
    for what, body in (("all", b"[]"), ("each named by its manifest", named)):
        said = json.loads(_status(served, body))
        assert len(said) == len(made), f"/status tells of {len(said)} of {len(made)} pods"
        ours, floor = in_turn((_timed_status(served, body), _timed_dumps(said)), rounds)
        note = f"{len(_status(served, body)) / 1e6:.1f} MB; floor: json.dumps of it"
        yield Row(f"/status of {len(made)} pods, {what}", "ms", median(ours) * 1e3, median(floor) * 1e3, note=note)


def _timed_status(served: Served, body: bytes) -> Any:
    return lambda: seconds(lambda: _status(served, body))


def _timed_dumps(answer: Any) -> Any:
    return lambda: seconds(lambda: json.dumps(answer).encode())


def _status(served: Served, body: bytes) -> bytes:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{served.url}/status", body, headers, method="GET")
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


class Weight:
    """What the server's processes hold, and use while nobody asks."""

    def __init__(self, served: Served, duration: float) -> None:
        self.processes = len(served.pids())
        self.cpu = usage.percent(served.pids, duration)
        self.memory = usage.memory(served.pids())

    def rows(self, what: str, empty: Weight) -> Iterator[Row]:
        mine, theirs, note = self.memory, empty.memory, "floor: the same server when empty"
        processes = f"{self.processes} processes; {note}"
        yield Row(f"server, {what}: RSS", "MiB", mine.rss / 2**20, theirs.rss / 2**20, note=processes)
        yield Row(f"server, {what}: PSS", "MiB", mine.pss / 2**20, theirs.pss / 2**20, note=note)
        yield Row(f"server, {what}: idle CPU", "% of a core", self.cpu, empty.cpu, note=note)
