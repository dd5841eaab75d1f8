"""The mock driver: the contract of a HostDriver, computed from plans and a clock."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from math import inf

from interlink import errors
from interlink.drivers.mock.faults import Fault, Faults
from interlink.drivers.mock.life import Life, utc
from interlink.drivers.mock.logs import MockStream, started_at
from interlink.drivers.mock.plan import Plan
from interlink.model.driver import Created, HostFacts, Listing, LogQuery, LogStream, Ping, PodEvent, Volumes
from interlink.model.host import Host
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus
from interlink.model.usage import HostUsage

BEAT = 5.0  # seconds between signs of life
STOP_WAIT = 1.0  # seconds that a delete waits before it says "still stopping"


class MockDriver:
    """Runs nothing; thread-safe, without a thread of its own.

    Time is what `clock` says (seconds of the epoch): whoever asks, or waits for changes, moves the pods
    on. `faults` injects errors, `latency` (seconds) delays every call, `hide` makes pods UNKNOWN and
    `cut` breaks all feeds.
    """

    def __init__(
        self,
        host: Host,
        server_id: str,
        *,
        plan: Plan | None = None,
        latency: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.host, self.server_id = host, server_id
        self.faults = Faults()
        self.latency = latency
        self.calls: dict[str, int] = {}  # how often each verb was used, for tests that count
        self._plan = plan or Plan()
        self._clock = clock
        self._changed = threading.Condition()
        self._lives: dict[str, Life] = {}
        self._statuses: dict[str, PodStatus] = {}
        self._due: list[tuple[float, str]] = []
        self._gone: dict[str, tuple[float, Life | None]] = {}  # tombstones, oldest first
        self._hidden: set[str] = set()
        self._feeds: list[_Feed] = []
        self._events: list[PodEvent] = []

    # --- what a test does to the host

    def hide(self, *uids: str) -> None:
        """Make these pods unreadable: UNKNOWN, with the last observation; none given: all readable again."""
        with self._changed:
            self._hidden = set(uids)
            self._tell(set(self._lives))

    def cut(self) -> None:
        """Break every feed, as a lost connection does."""
        with self._changed:
            for feed in self._feeds:
                feed.lost = True
            self._changed.notify_all()

    # --- Driver

    @property
    def kind(self) -> str:
        return "mock"

    def check(self, request: PodRequest) -> None:
        for container in request.pod.containers:
            Plan.of(request.pod, container.name, self._plan)

    def create(self, request: PodRequest) -> Created:
        uid = request.pod.uid
        self.check(request)
        with self._call("create", uid):
            if uid in self._gone:
                return Created(uid, uid, "deleted")
            if uid in self._lives:
                return Created(uid, f"mock-{uid}", "existing")
            life = Life(request.pod, lambda name: Plan.of(request.pod, name, self._plan), self._clock())
            self._lives[uid] = life
            self._moved(uid, life)
            return Created(uid, f"mock-{uid}")

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        with self._call("delete", pod.uid):
            self._bury(pod.uid)
            life = self._lives.get(pod.uid)
            if life is not None:
                life.stop(self._clock(), life.pod.grace if grace is None else grace, "Deleted")
                self._moved(pod.uid, life)
                self._await_end(life)
                self._drop(pod.uid, life)
            kept = self._gone[pod.uid][1]
            return replace(kept.status(), observed_at=self._now()) if kept else None

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        if pods is None:
            return list(self.listing().pods.values())
        with self._call("status"):
            return [self._seen(pod.uid) for pod in pods if pod.uid in self._lives]

    def logs(self, query: LogQuery) -> LogStream:
        with self._call("logs", query.pod.uid):
            query = replace(query, container=query.container or self._only_main(query.pod.uid))
            found = self._log(query)
            if found is None:
                raise errors.NotFound(f"pod {query.pod.uid} has no container {query.container!r}")
            if query.attempt is not None:
                query = replace(query, previous=query.attempt < found[0].restart_count)
            if query.previous and started_at(found[0], previous=True) is None:
                raise errors.NotFound(f"previous terminated container {query.container!r} not found")
        return MockStream(query, lambda: self._log(query), self._now, self._changed)

    def ping(self) -> Ping:
        with self._call("ping"):
            return Ping(resources={"cpu": "64", "memory": "256Gi", "pods": "100000"})

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        with self._call("update", pod.uid):
            if pod.uid not in self._lives:
                raise errors.NotFound(f"no pod {pod.uid}")
            named = {volume.get("name") for volume in self._lives[pod.uid].pod.volumes}
            for volume in volumes:
                if volume not in named:
                    raise errors.NotFound(f"pod {pod.uid} has no volume {volume!r}")

    # --- HostDriver

    def prepare(self) -> None:
        with self._call("prepare"):
            pass

    def listing(self) -> Listing:
        with self._call("listing"):
            pods = {**self._statuses, **{uid: self._seen(uid) for uid in self._hidden & self._lives.keys()}}
            return Listing(self._now(), pods, self._take_events())

    def observe(self, uids: Collection[str]) -> Listing:
        with self._call("observe"):
            pods = {uid: self._seen(uid) for uid in uids if uid in self._lives}
            for uid in uids:
                kept = self._gone.get(uid, (0.0, None))[1]
                if kept and uid not in pods:
                    pods[uid] = kept.status()
            return Listing(self._now(), pods, self._take_events())

    @contextmanager
    def changes(self) -> Iterator[Iterator[frozenset[str]]]:
        with self._call("changes"):
            feed = _Feed()
            self._feeds.append(feed)
        try:
            yield self._follow(feed)
        finally:
            with self._changed:
                self._feeds.remove(feed)
                feed.left = True
                self._changed.notify_all()

    def facts(self) -> HostFacts:
        with self._call("facts"):
            return HostFacts(
                cpus=64.0, memory=256 << 30, arch="amd64", pods=100_000, engine="mock", address="127.0.0.1"
            )

    def stats(self) -> HostUsage:
        with self._call("stats"):
            now = self._clock()
            return HostUsage(self._now(), pods={uid: life.usage(now) for uid, life in self._lives.items()})

    # --- inside; all below hold the lock

    @contextmanager
    def _call(self, operation: str, uid: str = "") -> Iterator[None]:
        if self.latency:
            time.sleep(self.latency)
        with self._changed:
            self.calls[operation] = self.calls.get(operation, 0) + 1
            self._advance()
            with self.faults.around(operation, uid):
                yield

    def _now(self) -> datetime:
        return utc(self._clock())

    def _advance(self) -> None:
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            at, uid = heapq.heappop(self._due)
            life = self._lives.get(uid)
            if life is not None and life.next_at <= at and life.advance(now):
                self._moved(uid, life)

    def _moved(self, uid: str, life: Life) -> None:
        """Take over what has become of a pod, and tell the feeds."""
        life.advance(self._clock())
        before, after = self._statuses.get(uid), life.status()
        self._statuses[uid] = after
        self._events += _events(before, after, self._now())
        if life.next_at != inf:
            heapq.heappush(self._due, (life.next_at, uid))
        self._tell({uid})

    def _tell(self, uids: set[str]) -> None:
        for feed in self._feeds:
            feed.uids |= uids
        self._changed.notify_all()

    def _seen(self, uid: str) -> PodStatus:
        status = self._statuses[uid]
        return replace(status, phase=Phase.UNKNOWN) if uid in self._hidden else status

    def _take_events(self) -> tuple[PodEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _life(self, uid: str) -> Life | None:
        return self._lives.get(uid) or self._gone.get(uid, (0.0, None))[1]

    def _only_main(self, uid: str) -> str:
        life = self._life(uid)
        mains = life.of(Kind.MAIN) if life else []
        if len(mains) > 1:
            raise errors.InvalidPod("a container name must be given: the pod has several")
        return mains[0].container.name if mains else ""

    def _log(self, query: LogQuery) -> tuple[ContainerStatus, bytes] | None:
        self._advance()
        life = self._life(query.pod.uid)
        if life is None:
            return None
        slot = life.slot(query.container)
        return None if slot is None else (slot.status, slot.plan.log.encode())

    def _await_end(self, life: Life) -> None:
        until = time.monotonic() + STOP_WAIT
        while not life.ended and time.monotonic() < until:
            self._changed.wait(min(0.05, max(0.001, life.next_at - self._clock())))
            self._advance()
        if not life.ended:
            raise errors.Unavailable(f"pod {life.pod.uid} is still stopping")

    def _bury(self, uid: str) -> None:
        """Leave a tombstone, and forget those that were kept long enough."""
        oldest = self._clock() - float(self.host.get("interlink_keep_seconds", 3600))
        while self._gone and (first := next(iter(self._gone.items())))[1][0] < oldest:
            del self._gone[first[0]]
        self._gone.setdefault(uid, (self._clock(), None))

    def _drop(self, uid: str, life: Life) -> None:
        if self._lives.pop(uid, None) is not None:
            del self._statuses[uid]
            self._gone[uid] = (self._clock(), life)
            self._tell({uid})

    def _follow(self, feed: _Feed) -> Iterator[frozenset[str]]:
        beat = time.monotonic() + BEAT
        while True:
            with self._changed:
                self._advance()
                if not (feed.uids or feed.lost or feed.left) and time.monotonic() < beat:
                    due = self._due[0][0] - self._clock() if self._due else BEAT
                    self._changed.wait(max(0.001, min(due, beat - time.monotonic(), BEAT)))
                    self._advance()
                if feed.left:
                    return
                if feed.lost:
                    raise errors.ConnectionLost("the feed was cut as injected")
                if not feed.uids and time.monotonic() < beat:
                    continue
                changed, feed.uids = frozenset(feed.uids), set()
            beat = time.monotonic() + BEAT
            yield changed


class _Feed:
    """What one follower has not been told yet."""

    def __init__(self) -> None:
        self.uids: set[str] = set()
        self.lost = False
        self.left = False


def _events(before: PodStatus | None, after: PodStatus, now: datetime) -> list[PodEvent]:
    """Return a Started event for every container attempt that is new."""
    known = {c.container_id for c in before.containers} if before else set()
    return [
        PodEvent(after.uid, "Started", f"Started container {c.name}", now, container=c.name)
        for c in after.containers
        if c.container_id and c.container_id not in known
    ]


__all__ = ["Fault", "MockDriver"]
