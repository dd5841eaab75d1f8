"""What has to be done now and then: leases, saving observations, other processes' writes, forgetting."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from interlink.dispatcher.book import Book
from interlink.dispatcher.settings import Settings
from interlink.dispatcher.stations import Stations
from interlink.errors import InterlinkError, Unavailable
from interlink.ledger import Ledger, Payloads, PodRow

log = logging.getLogger(__name__)

_FORGET_SECONDS = 600.0


class Resumer(Protocol):
    """What the dispatcher does when the housekeeper finds work."""

    def resume(self, host: str) -> None: ...

    def resume_unplaced(self) -> None: ...

    def adopt(self, rows: Collection[PodRow]) -> None: ...

    def publish_nodes(self) -> None: ...


class Housekeeper:
    """One thread that ticks, once a second as a rule."""

    def __init__(
        self,
        resumer: Resumer,
        ledger: Ledger,
        payloads: Payloads,
        *,
        book: Book,
        stations: Stations,
        settings: Settings,
    ) -> None:
        self._resumer, self._ledger, self._payloads = resumer, ledger, payloads
        self._book, self._stations, self._clock = book, stations, time.time
        self._settings = settings
        self._revision = 0
        self._forget_due = 0.0
        self._unclaimed: frozenset[str] = frozenset()
        self._ledger_error = ""
        self._room = threading.Event()
        self._suspect = threading.Event()
        self._stopped = threading.Event()
        self._ticking = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="housekeeper", daemon=True)

    def load(self) -> None:
        """Read the whole ledger."""
        self._revision = self._ledger.revision()
        for row in self._ledger.rows():
            self._book.put(row)
        self._book.bury(self._ledger.deleted_unknown())

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def room_was_made(self) -> None:
        """A pod has ended: others may fit now."""
        self._room.set()

    def suspect(self) -> None:
        """A write has failed, and may have been done all the same: read it back when the ledger answers."""
        self._suspect.set()

    def refresh(self, uid: str) -> str:
        """Read one pod again that another process has written; return "existing" or "deleted"."""
        row = self._ledger.row(uid)
        if row is None:
            self._book.bury([uid])
            return "deleted"
        self._resumer.adopt([row])
        return "existing" if row.target == "run" else "deleted"

    def ready(self) -> dict[str, Any]:
        """Say what works: the ledger, and each host."""
        hosts = {s.host.name: s.contact.reason or s.trouble or "ok" for s in self._stations.all()}
        return {"ok": not self._ledger_error, "ledger": self._ledger_error or "ok", "hosts": hosts}

    def tick(self) -> None:
        with self._ticking:
            try:
                self._tick()
                self._ledger_error = ""
            except Unavailable as error:
                if not self._ledger_error:
                    log.error("%s", error)
                self._ledger_error = str(error)
                self._suspect.set()

    def flush(self) -> None:
        """Save the newest observations, many in one transaction."""
        unsaved = self._book.take_unsaved()
        try:
            self._ledger.save_statuses(unsaved)
        except InterlinkError:
            self._book.give_back(unsaved)
            raise

    def _loop(self) -> None:
        while not self._stopped.is_set():
            try:
                self.tick()
            except Exception:
                log.exception("the housekeeper failed and goes on")
            self._stopped.wait(self._settings.tick)

    def _tick(self) -> None:
        for host in self._stations.claim():
            self._resumer.resume(host)
        self.flush()
        self._read_others()
        self._resumer.publish_nodes()
        if self._room.is_set():
            self._room.clear()
            self._resumer.resume_unplaced()
        self._stations.prune(lambda host: bool(self._book.on(host)))
        if self._clock() >= self._forget_due:
            self._forget()
            self._forget_due = self._clock() + _FORGET_SECONDS

    def _read_others(self) -> None:
        revision = self._ledger.revision()
        if revision == self._revision:
            return
        doubtful = self._suspect.is_set()
        self._suspect.clear()
        try:
            read = self._ledger.rows if doubtful else self._ledger.rows_of_others
            rows = read(self._revision)
            buried = self._ledger.deleted_unknown()
        except Unavailable:
            self._suspect.set()
            raise
        self._revision = revision
        self._resumer.adopt(rows)
        self._book.bury(buried)

    def _forget(self) -> None:
        now = self._clock()
        self._book.forget(
            self._ledger.expire(
                confirmed_before=now - self._settings.keep_deleted,
                unknown_before=now - self._settings.keep_unknown,
            )
        )
        self._book.exhume(self._ledger.deleted_unknown())
        self._sweep_payloads()

    def _sweep_payloads(self) -> None:
        """Drop requests that no pod needs: of launched pods at once, without a row at the second look."""
        rows: Mapping[str, PodRow | None] = {uid: self._book.get(uid) for uid in self._payloads.uids()}
        unclaimed = frozenset(uid for uid, row in rows.items() if row is None)
        done = {uid for uid, row in rows.items() if row is not None and not _needs_payload(row)}
        for uid in done | (unclaimed & self._unclaimed):
            self._payloads.drop(uid)
        self._unclaimed = unclaimed


def _needs_payload(row: PodRow) -> bool:
    return row.target == "run" and row.launched_at is None and not row.final
