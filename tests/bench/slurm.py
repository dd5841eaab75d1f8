"""Jobs by our REST API against the same jobs by sbatch on the login node, and what watching them asks of it.

All of it, nodes and server too, shares this machine, so what runs competes with what is submitted: where submits
are measured, jobs are held. Remote commands are counted by a squeue of our own in front of Slurm's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from statistics import median

from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import Phase, Terminated
from tests.bench import pods
from tests.bench.measure import Row, Size, Target, in_turn, median_ratio, quantile, seconds, wait
from tests.bench.slurm_stand import FLOOR, INTERVAL, Stand, slurm_stand
from tests.bench.stand import PATIENCE, Served, Watch, in_parallel

PARALLEL = (1, 4, 8)
CREATE = Target(">=", 0.9)
THROUGH = Target("<=", 1.15)
SAME = Target("<=", 1.1)
EXIT = Target("<=", INTERVAL + 1, of="ours")
HELD = {"slurm-job.vk.io/flags": "--hold"}
GAP = 0.4  # seconds between the ends of two containers


def rows(size: Size) -> Iterator[Row]:
    with slurm_stand() as stand:
        list(_creates(stand, Size(quick=True), max(PARALLEL)))  # sessions and files that the first ones have to open
        for threads in PARALLEL:
            yield from _creates(stand, size, threads)
        yield from _asked(stand, size)
        yield from _exits(stand, size.pods(100, 8))
        yield _through(stand, size.pods(1000, 16))


def _creates(stand: Stand, size: Size, threads: int) -> Iterator[Row]:
    """On `/v1` a create is answered when it is recorded, on `/create` with the job's id.

    The last row tells what the machine has left: the same sbatch while the server answers one ping for each job, which
    costs it neither ledger nor SSH.
    """
    count = size.of(max(32, 8 * threads), threads)

    def by(create: Callable[[Sequence[PodRequest], int], None]) -> float:
        requests = _held(count)
        taken = seconds(lambda: create(requests, threads))
        stand.served.delete_all(requests)
        return count / taken

    def floor(*beside: Callable[[], object]) -> float:
        commands = [stand.unpack(request) for request in _held(count)]
        both = (lambda: stand.sbatch(commands, threads), *beside)
        taken = seconds(lambda: in_parallel(lambda call: call(), both, 2))
        stand.cancel_floor()
        return count / taken

    def pings() -> None:
        in_parallel(lambda _: stand.served.contract.ping(), range(count), threads)

    ways = {
        "job by /v1": (lambda: by(stand.served.submit_all), CREATE),
        "job by /create": (lambda: by(stand.served.create_all), CREATE),
        "sbatch with a ping for each job": (lambda: floor(pings), None),
    }
    floors, *found = in_turn([floor, *(call for call, _ in ways.values())], size.rounds(5))
    for (way, (_, target)), rates in zip(ways.items(), found, strict=True):
        what = f"{way} against sbatch, {threads} at once"
        note = f"pairs {' '.join(f'{a / b:.2f}' for a, b in zip(rates, floors, strict=True))}"
        yield Row(what, "jobs/s", median(rates), median(floors), median_ratio(rates, floors), target, note)


def _held(count: int) -> list[PodRequest]:
    return [pods.pod(("true",), annotations=HELD) for _ in range(count)]


def _asked(stand: Stand, size: Size) -> Iterator[Row]:
    """How often the queue is asked for in the same time, with few and with many jobs that wait."""
    span = float(size.of(60, 10))
    counts: list[tuple[int, float]] = []
    made: list[PodRequest] = []
    for jobs in (size.pods(10, 2), size.pods(1000, 12)):
        more = _held(jobs - len(made))
        stand.served.create_all(more, 8)
        made += more
        before = stand.asked()
        time.sleep(span)
        counts.append((jobs, (stand.asked() - before) / span))
    (few, base), (many, loaded) = counts
    note = f"{few} and {many} held jobs, {span:.0f} s each"
    yield Row("commands that ask for the queue", "1/s", loaded, base, target=SAME, note=note)
    stand.served.delete_all(made)


def _exits(stand: Stand, count: int) -> Iterator[Row]:
    """How long after its own last word a container's end is in `/status`; they end one after the other."""
    place, words = stand.place("endings")
    requests = [
        pods.pod(
            ("sh", "-c", f"until [ -e {place}/go ]; do sleep 5; done; sleep {n * GAP:.1f}; date +%s.%N >{place}/{n}")
        )
        for n in range(count)
    ]
    stand.served.create_all(requests, 4)
    wait(lambda: _count(stand.served, requests, Phase.RUNNING) == count, "all run", PATIENCE + count, 0.5)
    (words / "go").touch()
    seen = _watch(stand.served, requests)
    late = [at - float((words / str(n)).read_text()) for n, at in enumerate(seen)]
    stand.served.delete_all(requests)
    note = f"{count} exits; the queue is looked at every {INTERVAL} s"
    yield Row("exit of a job's container to /status, p50", "s", quantile(late, 0.5), note=note)
    yield Row("exit of a job's container to /status, p99", "s", quantile(late, 0.99), target=EXIT, note=note)


def _watch(served: Served, requests: Sequence[PodRequest]) -> list[float]:
    """Ask /status until all have ended; return when each was first said to have."""
    seen: dict[str, float] = {}
    refs = [PodRef.of(request.pod) for request in requests]
    patience = time.monotonic() + PATIENCE + len(refs)
    while waiting := [ref for ref in refs if ref.uid not in seen]:
        if time.monotonic() > patience:
            raise TimeoutError(f"{len(waiting)} containers never ended in /status")
        for status in served.contract.status(waiting[:12]):
            if isinstance(status.mains[0].state, Terminated):
                seen[status.uid] = time.time()
        time.sleep(0.1)
    return [seen[ref.uid] for ref in refs]


def _through(stand: Stand, count: int) -> Row:
    """All the way to Succeeded, against the same jobs by sbatch until Slurm says that they have ended."""

    def ours() -> float:
        requests = [pods.pod(("true",)) for _ in range(count)]

        def run() -> None:
            with closing(Watch(stand.served.ours, lambda status: status.phase is Phase.SUCCEEDED)) as succeeded:
                stand.served.create_all(requests, 8)
                succeeded.wait(*(request.pod.uid for request in requests), patience=PATIENCE + 4 * count)

        taken = seconds(run)
        stand.served.delete_all(requests)
        return taken

    def floor() -> float:
        commands = [stand.unpack(pods.pod(("true",))) for _ in range(count)]

        def run() -> None:
            stand.sbatch(commands, 8)
            wait(lambda: len(stand.cluster.history(FLOOR)) >= before + count, "all end", PATIENCE + 4 * count, 0.5)

        before = len(stand.cluster.history(FLOOR))
        return seconds(run)

    taken, raw = ours(), floor()
    return Row(f"{count} pods to Succeeded, against sbatch", "s", taken, raw, target=THROUGH)


def _count(served: Served, requests: Sequence[PodRequest], phase: Phase) -> int:
    uids = {request.pod.uid for request in requests}
    return sum(record.status.phase is phase for record in served.ours.pods() if record.uid in uids)
