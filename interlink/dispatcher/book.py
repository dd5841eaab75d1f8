"""The pods in memory: the ledger's rows with the newest observation, by host, and what they take there."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from interlink import placement
from interlink.errors import InputError
from interlink.ledger import PodRow
from interlink.model.status import PodStatus


class Book:
    """Thread-safe. Rows are immutable; `change` replaces one and tells whether it did."""

    def __init__(self) -> None:
        self._rows: dict[str, PodRow] = {}
        self._hosts: dict[str, set[str]] = {}
        self._load: dict[str, Counter[str]] = {}
        self._charged: dict[str, tuple[str, Mapping[str, int]]] = {}
        self._unsaved: dict[str, PodStatus] = {}
        self._unknown: set[str] = set()
        self._strays: dict[str, set[str]] = {}
        self._lock = threading.RLock()

    # Rows

    def get(self, uid: str) -> PodRow | None:
        with self._lock:
            return self._rows.get(uid)

    def rows(self) -> list[PodRow]:
        with self._lock:
            return list(self._rows.values())

    def on(self, host: str) -> list[PodRow]:
        """Return the pods that are placed on the host and not gone."""
        with self._lock:
            return [self._rows[uid] for uid in self._hosts.get(host, ())]

    def put(self, row: PodRow) -> None:
        with self._lock:
            self._detach(row.uid)
            self._rows[row.uid] = row
            if row.host and row.confirmed_at is None:
                self._hosts.setdefault(row.host, set()).add(row.uid)
            if row.host and not row.final and row.confirmed_at is None:
                self.charge(row.uid, row.host, _demand(row))
            else:
                self.discharge(row.uid)

    def merge(self, theirs: PodRow, driven: Collection[str]) -> PodRow:
        """Take over a row that another process has written; `driven` are the hosts that we drive."""
        with self._lock:
            ours = self._rows.get(theirs.uid)
            driving = ours is not None and ours.host in driven
            self.put(merged(ours, theirs, driving=driving) if ours is not None else theirs)
            return self._rows[theirs.uid]

    def change(self, uid: str, how: Callable[[PodRow], PodRow | None]) -> PodRow | None:
        """Replace the row by what `how` makes of it; None if there is no row or `how` wants no change."""
        with self._lock:
            old = self._rows.get(uid)
            new = how(old) if old is not None else None
            if new is not None:
                self.put(new)
            return new

    def forget(self, uids: Iterable[str]) -> None:
        with self._lock:
            for uid in uids:
                self._detach(uid)
                self.discharge(uid)
                self._rows.pop(uid, None)

    def _detach(self, uid: str) -> None:
        old = self._rows.get(uid)
        if old is not None and old.host:
            self._hosts.get(old.host, set()).discard(uid)

    # Deletes of pods that nobody knows

    def bury(self, uids: Iterable[str]) -> None:
        with self._lock:
            self._unknown.update(uids)

    def exhume(self, still: Collection[str]) -> None:
        """Forget those that are not among `still` any more."""
        with self._lock:
            self._unknown &= set(still)

    def buried(self, uid: str) -> bool:
        with self._lock:
            return uid in self._unknown

    # Pods that are on a host although they should be gone

    def add_stray(self, uid: str, host: str) -> None:
        with self._lock:
            self._strays.setdefault(uid, set()).add(host)

    def remove_stray(self, uid: str, host: str) -> None:
        with self._lock:
            self._strays.get(uid, set()).discard(host)
            if not self._strays.get(uid):
                self._strays.pop(uid, None)

    def strays(self, uid: str) -> list[str]:
        with self._lock:
            return sorted(self._strays.get(uid, ()))

    # Load

    def charge(self, uid: str, host: str, demand: Mapping[str, int]) -> None:
        """Count the pod against its host from now on; repeating it changes nothing."""
        with self._lock:
            if self._charged.get(uid) == (host, demand):
                return
            self.discharge(uid)
            self._charged[uid] = (host, demand)
            self._load.setdefault(host, Counter()).update(demand)

    def discharge(self, uid: str) -> None:
        with self._lock:
            host, demand = self._charged.pop(uid, ("", {}))
            if host:
                self._load[host].subtract(demand)

    def load(self, host: str) -> dict[str, int]:
        with self._lock:
            return {name: value for name, value in self._load.get(host, {}).items() if value}

    # Observations that the ledger does not have yet

    def note(self, status: PodStatus) -> None:
        with self._lock:
            self._unsaved[status.uid] = status

    def take_unsaved(self) -> list[PodStatus]:
        with self._lock:
            unsaved, self._unsaved = list(self._unsaved.values()), {}
            return unsaved

    def give_back(self, statuses: Iterable[PodStatus]) -> None:
        """Take back statuses that could not be saved, unless there are newer ones."""
        with self._lock:
            for status in statuses:
                self._unsaved.setdefault(status.uid, status)


def observe(row: PodRow, status: PodStatus) -> PodRow:
    """Return the row with a newer observation."""
    return replace(row, status=status, final=status.terminal, jid=status.jid or row.jid)


def observed_on_host(row: PodRow) -> bool:
    """Say whether the status comes from a host, and not from us: before the launch is recorded, perhaps."""
    return row.final or (row.status is not None and row.status.observed_at is not None)


def unfinished(row: PodRow) -> bool:
    """Say whether there is something to do for the pod."""
    if row.target == "deleted":
        return row.confirmed_at is None
    return row.launched_at is None and not row.final


def merged(ours: PodRow, theirs: PodRow, *, driving: bool) -> PodRow:
    """Return what the ledger says, without going back on what we have recorded since it was read.

    `driving`: we drive the pod's host, so our placement and observation are the newer ones.
    """
    keep = driving or (ours.final and not theirs.final)
    deleted = ours if ours.target == "deleted" else theirs
    return replace(
        theirs,
        host=ours.host if driving else theirs.host,
        node=ours.node if driving else theirs.node,
        jid=theirs.jid or ours.jid,
        target=deleted.target,
        delete_grace=deleted.delete_grace,
        deleted_at=deleted.deleted_at,
        launched_at=theirs.launched_at or ours.launched_at,
        refused_at=theirs.refused_at or ours.refused_at,
        confirmed_at=theirs.confirmed_at or ours.confirmed_at,
        status=ours.status if keep and not (theirs.final and not ours.final) else theirs.status,
        final=ours.final or theirs.final,
    )


def _demand(row: PodRow) -> dict[str, int]:
    try:
        return placement.demand((c.kind, c.requests) for c in row.containers)
    except InputError:
        return {"pods": 1}
