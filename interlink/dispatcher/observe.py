"""What hosts report, brought together with what is recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from datetime import datetime

from interlink.dispatcher import states
from interlink.dispatcher.book import Book, observe
from interlink.dispatcher.changes import Changes
from interlink.dispatcher.stations import Stations
from interlink.ledger import PodRow
from interlink.model.driver import Listing
from interlink.model.status import PodStatus

log = logging.getLogger(__name__)


class Observations:
    """Takes listings into the book. A final status is never changed, and no pod is touched that is not ours."""

    def __init__(
        self,
        book: Book,
        changes: Changes,
        *,
        changed: Callable[[PodRow], None],
        wake: Callable[[str], None],
        enter: Callable[[str, PodStatus], bool],
        stations: Stations,
    ) -> None:
        """`enter` takes a pod of ours on a host into the ledger that has lost it; false if it does not."""
        self._book, self._changes, self._changed, self._wake = book, changes, changed, wake
        self._stations, self._enter, self._clock = stations, enter, time.time

    def expected(self, host: str) -> Collection[str]:
        """Return the pods that a complete listing of the host must show."""
        rows = self._book.on(host)
        return [r.uid for r in rows if r.launched_at is not None and not r.final and r.target == "run"]

    def observed(self, host: str, listing: Listing, *, complete: bool) -> None:
        for status in listing.pods.values():
            self._take(host, status, listing.taken_at)
        for event in listing.events:
            row = self._book.get(event.uid)
            if row is not None and row.host == host:
                self._changes.publish("event", event)
        if complete:
            self._strangers(host, listing)

    def vanished(self, host: str, uids: Collection[str]) -> None:
        for uid in uids:
            log.error("pod %s is gone from host %s without a word", uid, host)
            self._set(uid, lambda row: states.vanished(row, self._clock()) if row.host == host else None)

    def _take(self, host: str, seen: PodStatus, at: datetime) -> None:
        self._set(seen.uid, lambda row: states.observed(row, seen, at) if row.host == host else None)

    def _set(self, uid: str, status_of: Callable[[PodRow], PodStatus | None]) -> None:
        told = []

        def change(row: PodRow) -> PodRow | None:
            status = None if row.final or row.confirmed_at is not None else status_of(row)
            if status is None:
                return None
            if not states.same(row.status, status):
                told.append(status)
                self._book.note(status)
            return observe(row, status)

        row = self._book.change(uid, change)
        if row is not None and told:
            self._changed(row)
            if row.target == "deleted":
                self._wake(uid)  # perhaps it has ended, and the delete can be confirmed

    def _strangers(self, host: str, listing: Listing) -> None:
        """Look after pods of ours that should not be on this host.

        Deleted ones go. Unknown ones are entered again: a ledger that is lost, or was restored from a copy, must not
        lose pods that run. Those that belong to another host are reported.
        """
        orphans = set()
        for uid, status in listing.pods.items():
            row = self._book.get(uid)
            if self._book.buried(uid) or (row is not None and _should_be_gone(row, host)):
                self._book.add_stray(uid, host)
                self._wake(uid)
            elif row is not None and row.host == host:
                continue
            elif row is not None or not self._enter(host, status):
                orphans.add(uid)
        station = self._stations.get(host)
        if station is not None:
            for uid in orphans - station.orphans:
                log.warning("host %s runs pod %s, which the ledger does not place there; it is left alone", host, uid)
            station.orphans = frozenset(orphans)


def _should_be_gone(row: PodRow, host: str) -> bool:
    """Say whether nothing works on this pod's removal although the host still has it."""
    return row.target == "deleted" and (row.confirmed_at is not None or row.host != host)
