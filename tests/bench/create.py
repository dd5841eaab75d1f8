"""Creates over our REST API against the same containers by local `docker run -d` (decisions.md 17).

Ours goes through a client, the server's process, its ledger, SSH and the script on the host; the floor is the
engine's command line on this machine with the same flags. Both are timed until the last container runs. On `/v1` a
create is answered when it is recorded, so the client's next one need not wait for it; `/create` waits for the
container's id, as the contract has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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
        """Return creates per second by `/v1`."""
        return self._by_server(self.stand.served.submit_all)

    def contract(self) -> float:
        """Return creates per second by `/create`."""
        return self._by_server(self.stand.served.create_all)

    def _by_server(self, create: Callable[[Sequence[PodRequest], int], None]) -> float:
        requests = self._requests()
        taken = seconds(lambda: create(requests, self.threads))
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
    calls = [contest.floor, contest.ours, contest.contract] + ([contest.single] if policy != "Never" else [])
    floor, *ours = in_turn(calls, size.rounds(7))
    what = f"create of {kind}, {threads} at once"
    for way, rates in zip(("/v1", "/create"), ours, strict=False):
        note = f"pairs {' '.join(f'{a / b:.2f}' for a, b in zip(rates, floor, strict=True))}"
        rows = median(rates), median(floor), median_ratio(rates, floor)
        yield Row(f"{what}, {way}", "pods/s", *rows, TARGET, note)
    for single in ours[2:]:
        quantity = f"{what}, /v1, against one container"
        yield Row(quantity, "pods/s", median(ours[0]), median(single), median_ratio(ours[0], single))


def _warm_up(stand: Stand) -> None:
    for policy in ("Never", "OnFailure"):
        contest = Contest(stand, policy, 2, 2)
        contest.ours()
        contest.floor()
    wait(lambda: not stand.containers(), "the first pods are gone", 60)
