"""A container's exit to `/status`: how long after the engine's own FinishedAt the contract call says so.

The floor is the engine's `die` event as a process on the host itself reads it, of the same containers.
All clocks are the machine's.
"""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import Terminated
from tests.bench import pods
from tests.bench.measure import Row, Size, Target, quantile, seconds
from tests.bench.stand import PATIENCE, Stand, docker_stand, in_parallel
from tests.lab import process

POLL = 0.02  # seconds between two questions; ours carry that on top
GAP = 0.25  # seconds between the ends of two containers
THREADS = 4  # that create
AHEAD = 12  # pods that are asked for at a time: those that end next


def rows(size: Size) -> Iterator[Row]:
    with docker_stand() as stand:
        for count, rounds in ((10, size.of(5, 1)), (size.of(200, 30), 1)):
            ours, floor = [], []
            for _ in range(rounds):
                found = _batch(stand, count, _pace(stand))
                ours += found[0]
                floor += found[1]
            what, note = f"exit to /status, {count} pods on the host", f"{len(ours)} exits; floor: the engine's event"
            yield Row(f"{what}, p50", "s", quantile(ours, 0.5), quantile(floor, 0.5), note=note)
            target = Target("<=", 1, of="ours")
            yield Row(f"{what}, p99", "s", quantile(ours, 0.99), quantile(floor, 0.99), target=target, note=note)


def _batch(stand: Stand, count: int, pace: float) -> tuple[list[float], list[float]]:
    """Let so many pods end one after the other; return how late we and the engine's event were, in seconds."""
    first_end = time.time() + 5 + 2 * count * pace  # by then they are all created, and the host is quiet again
    ends = itertools.count()
    made: list[PodRequest] = []

    def create(_: int) -> None:
        left = first_end + next(ends) * GAP - time.time()
        request = pods.pod(("sleep", f"{left:.3f}"))
        made.append(request)
        stand.served.create_all([request], 1)

    with _events(stand) as events:
        in_parallel(create, range(count), THREADS)
        late = time.time() - first_end
        if late > 0:
            raise TimeoutError(f"the creates took {late:.0f} s more than their own rate foretold")
        seen = _watch(stand, made)
        ended = _finished(stand, made)
    stand.served.delete_all(made)
    return [seen[uid] - at for uid, at in ended.items()], [events[uid] - at for uid, at in ended.items()]


def _pace(stand: Stand) -> float:
    """Return the seconds that a create takes here and now."""
    first = [pods.pod() for _ in range(2 * THREADS)]
    taken = seconds(lambda: stand.served.create_all(first, THREADS))
    stand.served.delete_all(first)
    return taken / len(first)


def _watch(stand: Stand, made: Sequence[PodRequest]) -> dict[str, float]:
    """Ask /status for the pods that end next until all have ended; return when each was first said to have."""
    seen: dict[str, float] = {}
    waiting = [PodRef.of(request.pod) for request in made]
    patience = time.monotonic() + PATIENCE + 2 * len(made)
    while waiting:
        for status in stand.served.contract.status(waiting[:AHEAD]):
            if isinstance(status.mains[0].state, Terminated):
                seen[status.uid] = time.time()
        waiting = [ref for ref in waiting if ref.uid not in seen]
        if time.monotonic() > patience:
            raise TimeoutError(f"{len(waiting)} containers never ended in /status")
        time.sleep(POLL)
    return seen


@contextmanager
def _events(stand: Stand) -> Iterator[dict[str, float]]:
    """Note when the engine tells each pod's end."""
    seen: dict[str, float] = {}
    shown = '{{index .Actor.Attributes "interlink.eu/uid"}}'
    arguments = ["events", f"--filter=label=interlink.eu/server={stand.served.server_id}", "--filter=event=die"]
    follower = subprocess.Popen(
        [*stand.engine.command, *arguments, "--format", shown],
        stdout=subprocess.PIPE,
        text=True,
        env={**process.clean_environment(), **stand.engine.env},
    )

    def read() -> None:
        assert follower.stdout is not None
        for line in follower.stdout:
            seen.setdefault(line.strip(), time.time())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        follower.terminate()
        follower.wait()
        reader.join()
        assert follower.stdout is not None
        follower.stdout.close()


def _finished(stand: Stand, made: Sequence[PodRequest]) -> dict[str, float]:
    """Return the engine's FinishedAt of each pod's container, in seconds of the epoch."""
    names = [f"il-{request.pod.uid}-main-0" for request in made]
    shown = '{{index .Config.Labels "interlink.eu/uid"}} {{.State.FinishedAt}}'
    lines = stand.engine.run("inspect", "--format", shown, *names).splitlines()
    return {uid: _epoch(stamp) for uid, stamp in (line.split() for line in lines)}


def _epoch(stamp: str) -> float:
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
    return moment.timestamp() + float(f"0.{fraction or 0}")
