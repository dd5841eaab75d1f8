"""The hosts that this process knows: driver, watcher, facts, and whether we hold the lease."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol

from interlink import placement
from interlink.dispatcher.capacity import capacity_of, labels_of
from interlink.dispatcher.claims import Claims
from interlink.errors import InterlinkError, Unavailable
from interlink.model.driver import HostDriver, HostFacts, Listing
from interlink.model.host import Host
from interlink.watch import Intervals, Watcher

log = logging.getLogger(__name__)
STALE_SECONDS = 30.0  # decisions.md 23
_JOIN_SECONDS = 10.0

MakeDriver = Callable[[Host], HostDriver]


class Observer(Protocol):
    """Who makes sense of what stations see; called from the watchers' threads."""

    def expected(self, host: str) -> Collection[str]: ...

    def observed(self, host: str, listing: Listing, *, complete: bool) -> None: ...

    def vanished(self, host: str, uids: Collection[str]) -> None: ...

    def station_changed(self, host: str) -> None:
        """Facts or reachability have changed: nodes look different, and waiting pods may fit."""
        ...


@dataclass(frozen=True)
class Contact:
    """Whether a host answers: since when it does or does not, and why not."""

    reachable: bool = False
    reason: str = "not contacted yet"
    since: datetime | None = None

    def stale(self, now: datetime) -> bool:
        """Say whether the host has been away for so long that its pods' statuses are not to be believed."""
        return not self.reachable and (self.since is None or (now - self.since).total_seconds() > STALE_SECONDS)


class Station:
    """One host: made idle, driven between `start` and `stop`. It is its watcher's sink."""

    def __init__(self, host: Host, observer: Observer, *, make_driver: MakeDriver, intervals: Intervals) -> None:
        self.host = host
        self.leaving = False  # no longer in the inventory; driven until its pods are gone
        self.facts: HostFacts | None = None
        self.contact = Contact(since=_now())
        self.orphans: frozenset[str] = frozenset()
        self.trouble = ""  # what is wrong with the scheduler there, although the host answers
        self._observer, self._make_driver, self._intervals = observer, make_driver, intervals
        self._driver: HostDriver | None = None
        self._watcher: Watcher | None = None
        self._lock = threading.Lock()

    @property
    def driving(self) -> bool:
        return self._watcher is not None

    @property
    def kind(self) -> str:
        """What runs the pods there; what the inventory says until that is known."""
        return self._driver.kind if self._driver is not None else self.host.driver

    @property
    def driver(self) -> HostDriver:
        """The host's driver; Unavailable if none can be made at present."""
        with self._lock:
            if self._driver is None:
                self._driver = self._make_driver(self.host)
            return self._driver

    def start(self) -> bool:
        """Start driving; False if no driver can be made yet, which is tried again."""
        try:
            driver = self.driver
        except InterlinkError as error:
            self.disconnected(error)
            return False
        self._watcher = Watcher(self.host.name, driver, self, intervals=self._intervals)
        self._watcher.start()
        return True

    def stop(self, reason: str) -> Watcher | None:
        """Stop driving, without waiting; the watcher returned has been asked to end."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
        self.contact = Contact(False, reason, _now())
        return watcher

    def stale(self, now: datetime) -> bool:
        """Say whether our own observations of this host are too old to be believed."""
        return self.driving and self.contact.stale(now)

    def candidate(self, load: Mapping[str, int]) -> placement.Candidate:
        return placement.Candidate(
            self.host.name,
            self.host.node,
            labels=labels_of(self.host, self.facts),
            capacity=capacity_of(self.host, self.facts),
            load=load,
            problem=self._problem(),
        )

    def _problem(self) -> str:
        if self.leaving:
            return "not in the inventory any more"
        if not self.driving:
            return self.contact.reason or "driven by another server"
        if not self.contact.reachable or self.facts is None:
            return f"not reachable ({self.contact.reason})"
        return f"out of order ({self.trouble})" if self.trouble else ""

    # The watcher's sink

    def expected(self) -> Collection[str]:
        return self._observer.expected(self.host.name)

    def gathered(self, facts: HostFacts) -> None:
        changed, self.facts = facts != self.facts, facts
        if changed:
            self._observer.station_changed(self.host.name)

    def connected(self) -> None:
        was, now = self.contact, _now()
        self.contact = Contact(True, "", was.since if was.reachable else now)
        if not was.reachable:
            log.info("host %s answers", self.host.name)
            self._observer.station_changed(self.host.name)

    def observed(self, listing: Listing, *, complete: bool) -> None:
        self._observer.observed(self.host.name, listing, complete=complete)
        if listing.trouble != self.trouble:
            self.trouble = listing.trouble
            log.warning("host %s: %s", self.host.name, self.trouble or "its scheduler answers again")
            self._observer.station_changed(self.host.name)

    def vanished(self, uids: Collection[str]) -> None:
        self._observer.vanished(self.host.name, uids)

    def disconnected(self, error: InterlinkError) -> None:
        was = self.contact
        since = was.since if not was.reachable and was.since else _now()
        self.contact = Contact(False, str(error), since)
        if was.reachable or was.reason != self.contact.reason:
            log.warning("host %s is away: %s", self.host.name, error)
            self._observer.station_changed(self.host.name)


class Stations:
    """All stations by host name; gives and takes the right to drive them by leases. Thread-safe."""

    def __init__(
        self,
        claims: Claims,
        observer: Observer,
        *,
        make_driver: MakeDriver,
        intervals: Intervals,
    ) -> None:
        self.claims, self._observer = claims, observer
        self._make_driver, self._intervals = make_driver, intervals
        self._stations: dict[str, Station] = {}
        self._ending: list[Watcher] = []
        self._lock = threading.RLock()

    def get(self, name: str) -> Station | None:
        with self._lock:
            return self._stations.get(name)

    def all(self) -> list[Station]:
        with self._lock:
            return list(self._stations.values())

    def drives(self, name: str) -> bool:
        station = self.get(name)
        return station is not None and station.driving

    def driver(self, name: str) -> HostDriver:
        """Return the driver of a host that we drive; Unavailable if we do not."""
        station = self.get(name)
        if station is None:
            raise Unavailable(f"host {name} is not in the inventory")
        if not station.driving:
            raise Unavailable(f"host {name}: {station.contact.reason or 'driven by another server'}")
        return station.driver

    def replace(self, hosts: Mapping[str, Host], busy: Callable[[str], bool]) -> None:
        """Take over an inventory: a host that has changed gets a new driver, one that has left ends when not busy."""
        with self._lock:
            for name, station in list(self._stations.items()):
                if name not in hosts:
                    station.leaving = True
                elif station.host != hosts[name]:
                    self._stop(name, "its inventory entry has changed")
                    self._stations[name] = self._new(hosts[name])
                    self._stations[name].facts = station.facts
            for name, host in hosts.items():
                station = self._stations.setdefault(name, self._new(host))
                station.leaving = False
            self.prune(busy)

    def prune(self, busy: Callable[[str], bool]) -> None:
        """Let go of hosts that have left the inventory and have no pods any more."""
        with self._lock:
            for name, station in list(self._stations.items()):
                if station.leaving and not busy(name):
                    self._stop(name, "not in the inventory any more")

    def claim(self) -> list[str]:
        """Take what leases can be had, stop driving what was lost; return the hosts that we have begun to drive."""
        held = self.claims.hosts([s.host.name for s in self.all()])
        begun = []
        for station in self.all():
            name = station.host.name
            if station.driving and name not in held:
                log.error("the lease of host %s was lost; it is not driven any more", name)
                self._halt(station, "its lease was lost")
            elif not station.driving and not self.claims.host(name):
                station.contact = Contact(False, "driven by another server", station.contact.since)
            elif not station.driving and station.start():
                begun.append(name)
        self._ending = [watcher for watcher in self._ending if not watcher.join(0.0)]
        return begun

    def close(self) -> None:
        for station in self.all():
            self._halt(station, "the server ends")
        for watcher in self._ending:
            watcher.join(_JOIN_SECONDS)
        for station in self.all():
            self.claims.leave_host(station.host.name)

    def _new(self, host: Host) -> Station:
        return Station(host, self._observer, make_driver=self._make_driver, intervals=self._intervals)

    def _stop(self, name: str, reason: str) -> None:
        station = self._stations.pop(name)
        self._halt(station, reason)
        if station.leaving:
            self.claims.leave_host(name)

    def _halt(self, station: Station, reason: str) -> None:
        watcher = station.stop(reason)
        if watcher is not None:
            self._ending.append(watcher)


def _now() -> datetime:
    return datetime.now(timezone.utc)
