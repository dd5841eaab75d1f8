"""One step for one pod: from what is recorded towards what is asked for. Level-triggered, so it may be repeated."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from interlink.dispatcher import states
from interlink.dispatcher.book import Book, observed_on_host
from interlink.dispatcher.settings import Settings
from interlink.dispatcher.stations import Stations
from interlink.errors import (
    InterlinkError,
    InvalidPod,
    LaunchFailed,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    Unplaced,
)
from interlink.ledger import Ledger, Payloads, PodRow
from interlink.model.driver import Created
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import PodStatus

log = logging.getLogger(__name__)

_UNPLACED_SECONDS = 30.0  # changes of load and hosts wake the pod earlier


class Chooser(Protocol):
    """Who finds a host for a request; Unplaced if none fits at present, InvalidPod if none ever will."""

    def choose(self, request: PodRequest) -> str: ...

    def node_of(self, host: str) -> str: ...


class Reconciler:
    """Places, launches and deletes pods. One thread at a time may work on a pod; `lanes` sees to that."""

    def __init__(
        self,
        book: Book,
        ledger: Ledger,
        payloads: Payloads,
        stations: Stations,
        *,
        chooser: Chooser,
        changed: Callable[[PodRow], None],
        settings: Settings,
    ) -> None:
        self._book, self._ledger, self._payloads, self._stations = book, ledger, payloads, stations
        self._chooser, self._changed = chooser, changed
        self._settings, self._clock = settings, time.time
        self._failures: dict[str, int] = {}
        self._unsent: set[str] = set()  # placed by us, and certainly never sent to a host
        self._lock = threading.Lock()

    def placed_now(self, uid: str) -> None:
        """Take note that the pod has just been placed by this process: nothing has been sent yet."""
        with self._lock:
            self._unsent.add(uid)

    def step(self, uid: str) -> float | None:
        """Do what is next for the pod; return the seconds after which to look again, None if nothing is left."""
        row = self._book.get(uid)
        try:
            self._remove_strays(uid)
            if row is not None and row.confirmed_at is None and self._is_ours(row):
                self._step(row)
        except Unplaced as error:
            self._say(uid, "Unschedulable", str(error))
            return _UNPLACED_SECONDS
        except InterlinkError as error:
            if not isinstance(error, (Unavailable, OutcomeUnknown)):
                log.warning("pod %s: %s", uid, error)
            return self._retry(uid, error)
        self._failures.pop(uid, None)
        return None

    def _remove_strays(self, uid: str) -> None:
        """Delete what turned up of the pod after its delete was confirmed, or although it came before the create."""
        for host in self._book.strays(uid):
            self._stations.driver(host).delete(PodRef(uid))
            self._book.remove_stray(uid, host)

    def _is_ours(self, row: PodRow) -> bool:
        """Say whether this process works on the pod; when it gets the host's lease, it is woken again."""
        station = self._stations.get(row.host) if row.host else None
        return self._stations.claims.pod(row.uid) and (station is None or station.driving)

    def _step(self, row: PodRow) -> None:
        if row.target == "deleted":
            self._delete(row)
        elif not row.final and row.launched_at is None and row.refused_at is None:
            self._run(row)

    # Run

    def _run(self, row: PodRow) -> None:
        try:
            request = self._payloads.get(row.uid)
            created = self._send(row.host or self._place(row, request), request)
        except (LaunchFailed, InvalidPod, NotFound) as error:
            self._refuse(row, *_refusal(error))
            return
        if created.outcome == "deleted":
            self._refuse(row, "Deleted", "the host knows the pod's UID as deleted")
        else:
            self._launched(row, created.jid)

    def _send(self, host: str, request: PodRequest) -> Created:
        """Launch on the host. Where that certainly did nothing, a pod that was never sent is free again."""
        uid = request.pod.uid
        with self._lock:
            unsent = uid in self._unsent
            self._unsent.discard(uid)
        try:
            return self._stations.driver(host).create(request)
        except Unavailable:
            if unsent and self._ledger.unplace(uid, host):
                self._update(uid, lambda r: replace(r, host=None))
            elif unsent:
                self.placed_now(uid)
            raise

    def _place(self, row: PodRow, request: PodRequest) -> str:
        host = self._chooser.choose(request)
        node = row.node or self._chooser.node_of(host)
        if not self._ledger.place(row.uid, host=host, node=node):
            self._book.discharge(row.uid)
            raise Unavailable("another server has placed the pod, or it is deleted")
        self.placed_now(row.uid)
        self._update(row.uid, lambda r: replace(_cleared(r), host=host, node=node))
        return host

    def _launched(self, row: PodRow, jid: str) -> None:
        now = self._clock()
        self._ledger.launched(row.uid, jid=jid, now=now)
        self._payloads.drop(row.uid)
        self._update(row.uid, lambda r: _cleared(replace(r, launched_at=now, jid=jid)))

    def _refuse(self, row: PodRow, reason: str, message: str) -> None:
        now = self._clock()
        status = states.refused(row, reason, message, now)
        self._ledger.refused(row.uid, status=status, now=now)
        self._payloads.drop(row.uid)
        self._update(row.uid, lambda r: replace(r, status=status, final=True, refused_at=now))

    # Delete

    def _delete(self, row: PodRow) -> None:
        seen = None
        if row.host is not None:
            driver = self._stations.driver(row.host)
            grace = row.grace if row.delete_grace is None else row.delete_grace
            seen = driver.delete(PodRef(row.uid, row.namespace, row.name), grace)
        self._confirm(row, seen)

    def _confirm(self, row: PodRow, seen: PodStatus | None) -> None:
        """Record the final status with the confirmation, in one transaction, and only then let go."""
        now = self._clock()
        latest = self._book.get(row.uid) or row
        status = latest.status if latest.final and latest.status else states.deleted(latest, seen, now)
        self._ledger.confirm(row.uid, status=status, now=now)
        self._payloads.drop(row.uid)
        self._update(row.uid, lambda r: replace(r, status=status, final=True, confirmed_at=now))
        self._stations.claims.leave_pod(row.uid)

    # Both

    def _retry(self, uid: str, error: InterlinkError) -> float:
        failures = self._failures.get(uid, 0)
        self._failures[uid] = min(failures + 1, 16)
        self._say(uid, "ContainerCreating", f"{error}; it is tried again")
        return min(self._settings.backoff * 2.0**failures, self._settings.backoff_max)

    def _say(self, uid: str, reason: str, message: str) -> None:
        """Show why a pod waits, unless it does not any more."""

        def told(row: PodRow) -> PodRow | None:
            if observed_on_host(row) or row.launched_at is not None or row.target == "deleted":
                return None
            status = states.waiting(row, reason, message)
            return None if states.same(row.status, status) else replace(row, status=status)

        self._update(uid, told)

    def _update(self, uid: str, how: Callable[[PodRow], PodRow | None]) -> None:
        row = self._book.change(uid, how)
        if row is not None:
            self._changed(row)


def _cleared(row: PodRow) -> PodRow:
    """Return the row without what was said about its waiting, which is over."""
    return row if row.status is None or observed_on_host(row) else replace(row, status=states.waiting(row))


def _refusal(error: InterlinkError) -> tuple[str, str]:
    """Return reason and message as the pod's status shows them."""
    if isinstance(error, LaunchFailed):
        return error.reason, error.message
    if isinstance(error, InvalidPod):
        return "PodFeatureUnsupported", str(error)  # decisions.md 10
    return "RequestLost", str(error)
