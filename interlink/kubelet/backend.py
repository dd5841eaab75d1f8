"""What runs the pods, as the kubelet sees it: an interLink server, ours or another."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol

from interlink.kubelet.decide import Knowledge
from interlink.model.driver import LogQuery, NodeRecord, PodEvent, PodRecord, Volumes
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.usage import NodeUsage

_GONE_KEPT = 20_000  # final records of pods whose API object is about to go


class Listener:
    """Who wants to know of changes; nothing here may block."""

    def job_changed(self, record: PodRecord) -> None:
        """A job is new, has changed, or is not there any more (`record.gone`)."""

    def job_event(self, event: PodEvent) -> None:
        """A driver has seen something of a container."""

    def nodes_changed(self) -> None:
        """The nodes that the backend offers may have changed."""

    def contact_changed(self) -> None:
        """The backend has been lost, or is back with a complete picture."""


@dataclass
class Contact:
    """Since when the backend answers, or does not, and why."""

    up: bool = False
    since: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    reason: str = "the backend has not answered yet"

    def set(self, reason: str, since: datetime | None = None) -> bool:
        """Note an answer (no reason) or its absence; say whether that is news.

        `since` is when the backend was heard last, where its silence was noticed only now.
        """
        up, before = not reason, self.up
        self.reason = reason
        if up != before:
            self.up, self.since = up, since or datetime.now(timezone.utc)
        return up != before

    @property
    def away_seconds(self) -> float:
        """For how long the backend has been silent; 0 while it answers."""
        return 0.0 if self.up else max(0.0, (datetime.now(timezone.utc) - self.since).total_seconds())


class Jobs:
    """Records by UID, with the final ones for as long as somebody may ask."""

    def __init__(self) -> None:
        self._live: dict[str, PodRecord] = {}
        self._gone: OrderedDict[str, PodRecord] = OrderedDict()

    def get(self, uid: str) -> PodRecord | None:
        return self._live.get(uid) or self._gone.get(uid)

    def live(self) -> Collection[PodRecord]:
        return self._live.values()

    def put(self, record: PodRecord) -> None:
        if not record.gone:
            self._live[record.uid] = record
            return
        self._live.pop(record.uid, None)
        self._gone[record.uid] = record
        while len(self._gone) > _GONE_KEPT:
            self._gone.popitem(last=False)

    def drop(self, uid: str) -> None:
        self._live.pop(uid, None)
        self._gone.pop(uid, None)

    def replace(self, records: Collection[PodRecord]) -> list[PodRecord]:
        """Take over a complete picture; return the records that are not in it any more."""
        fresh = {record.uid: record for record in records}
        lost = [record for uid, record in self._live.items() if uid not in fresh]
        self._live = fresh
        return lost


class Listeners:
    """Whoever follows a backend."""

    def __init__(self) -> None:
        self._all: list[Listener] = []

    def add(self, listener: Listener) -> None:
        self._all.append(listener)

    def tell(self, call: Callable[[Listener], None]) -> None:
        for listener in self._all:
            call(listener)


class Backend(Protocol):
    """One interLink server. Raises errors of `interlink.errors` only.

    `run` follows the server for ever and never gives up; all else may be called meanwhile.
    """

    contact: Contact

    def listen(self, listener: Listener) -> None:
        """Tell this one of all changes from now on."""
        ...

    async def run(self) -> None:
        """Follow the server until cancelled."""
        ...

    async def close(self) -> None: ...

    def job(self, uid: str) -> PodRecord | None:
        """Return what is known of a job; one that is gone for some time too."""
        ...

    def jobs(self) -> Collection[PodRecord]:
        """Return all jobs that are not gone."""
        ...

    def knowledge(self, uid: str) -> Knowledge:
        """Say what it means that `job` knows nothing of this UID."""
        ...

    async def learn(self, pod: Pod) -> None:
        """Find out about a pod that nobody has asked the server about, if the server does not tell by itself."""
        ...

    async def look_up(self, uid: str) -> PodRecord | None:
        """Ask the server for one job, also one that is gone."""
        ...

    async def create(self, request: PodRequest) -> None:
        """Hand a pod over; AlreadyDeleted if its UID is known to be deleted. Idempotent by UID."""
        ...

    async def delete(self, pod: PodRef, grace: int | None) -> None:
        """Have a pod stopped and removed; returns once the server has taken note."""
        ...

    def forget(self, uid: str) -> None:
        """Drop what is kept of a pod that is neither in the cluster nor anywhere else any more."""
        ...

    async def update(self, pod: PodRef, volumes: Volumes) -> None:
        """Replace the files of volumes in a live pod; Unsupported where the server cannot."""
        ...

    def logs(self, query: LogQuery) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a log; leaving the context ends it."""
        ...

    async def stats(self, node: str) -> NodeUsage | None:
        """Return what the pods of a node have used; None for a server that has no figures."""
        ...

    async def nodes(self) -> list[NodeRecord]:
        """Return the nodes that the server offers, none for a server that names none."""
        ...

    @property
    def fills_addresses(self) -> bool:
        """Say whether the hosts fill in what only they know (status.podIP and the like)."""
        ...
