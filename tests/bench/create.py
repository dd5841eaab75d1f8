"""Creates over our REST API against the same containers by local `docker run -d` (decisions.md 17).

Ours goes through a client, the server's process, its ledger, SSH and the script on the host; the floor is the
engine's command line on this machine with the same flags. Both are timed until the last container runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from interlink.model.pod import PodRequest
from tests.bench import pods
from tests.bench.measure import Row, Size, Target, in_turn, median_ratio, seconds, wait
from tests.bench.stand import Stand, docker_stand, in_parallel

PARALLEL = (1, 4, 8)
TARGET = Target(">=", 0.95)


@dataclass
class Contest:
    """Batches of one kind of pod at one parallelism; what a batch leaves is removed outside the timed part."""

    stand: Stand
    policy: str
    threads: int
    batch: int

    def ours(self) -> float:
        """Return creates per second."""
        requests = self._requests()
        taken = seconds(lambda: self.stand.served.create_all(requests, self.threads))
        self.stand.served.delete_all(requests)
        time.sleep(0.3)  # whatever the server still has to observe of it
        return len(requests) / taken

    def floor(self) -> float:
        """Return pods per second: all containers of a pod one after the other, pods in parallel."""
        return self._by_hand(self._requests())

    def single(self) -> float:
        """Return containers per second for the pod's own container alone."""
        return self._by_hand([pods.pod() for _ in range(self.batch)])

    def _requests(self) -> list[PodRequest]:
        return [pods.pod(policy=self.policy) for _ in range(self.batch)]

    def _by_hand(self, requests: Sequence[PodRequest]) -> float:
        directory = self.stand.directory / "floor"
        commands = [pods.floor_commands(request, self.stand.host, directory) for request in requests]

        def start(calls: list[list[str]]) -> None:
            for arguments in calls:
                self.stand.engine.run(*arguments)

        taken = seconds(lambda: in_parallel(start, commands, self.threads))
        self.stand.engine.remove(*self.stand.engine.containers(f"label=interlink.eu/server={pods.FLOOR}"))
        return len(requests) / taken


def rows(size: Size) -> Iterator[Row]:
    with docker_stand() as stand:
        _warm_up(stand)
        for policy, kind in (("Never", "one container"), ("OnFailure", "pause + container")):
            for threads in PARALLEL:
                yield from _rows(stand, size, policy=policy, kind=kind, threads=threads)


def _rows(stand: Stand, size: Size, *, policy: str, kind: str, threads: int) -> Iterator[Row]:
    contest = Contest(stand, policy, threads, batch=size.of(4 * threads, max(2, threads)))
    calls = [contest.ours, contest.floor] + ([contest.single] if policy != "Never" else [])
    ours, floor, *single = in_turn(calls, size.rounds(7))
    what = f"create of {kind}, {threads} at once"
    ratio = median_ratio(ours, floor)
    note = f"pairs {' '.join(f'{a / b:.2f}' for a, b in zip(ours, floor, strict=True))}"
    yield Row(what, "pods/s", median(ours), median(floor), ratio, TARGET, note)
    for rates in single:
        yield Row(f"{what}, against one container", "pods/s", median(ours), median(rates), median_ratio(ours, rates))


def _warm_up(stand: Stand) -> None:
    for policy in ("Never", "OnFailure"):
        contest = Contest(stand, policy, 2, 2)
        contest.ours()
        contest.floor()
    wait(lambda: not stand.containers(), "the first pods are gone", 60)
