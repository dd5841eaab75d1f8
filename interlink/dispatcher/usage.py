"""What the pods of a node have used: every host is asked at once, and seldom."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

from interlink.dispatcher.book import Book
from interlink.dispatcher.stations import Station, Stations
from interlink.errors import InterlinkError, NotFound
from interlink.model.usage import HostUsage, NodeUsage, PodUsage

Number = TypeVar("Number", int, float)

log = logging.getLogger(__name__)

FRESH_SECONDS = 10.0  # figures are asked for every 15 s or less often; cAdvisor looks as often
PATIENCE_SECONDS = 5.0  # for all hosts of a node together; a host that takes longer is left out this time
_THREADS = 8


@dataclass
class _Host:
    """The last figures of a host, and the question that is under way."""

    taken: float = float("-inf")
    usage: HostUsage | None = None
    asking: Future[HostUsage | None] | None = field(default=None)


class Usage:
    """Figures of hosts, kept for some seconds. Thread-safe; threads are made when first needed."""

    def __init__(self, stations: Stations, book: Book, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stations, self._book, self._clock = stations, book, clock
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="usage")

    def of(self, node: str) -> NodeUsage:
        """Return what is known of a node now; NotFound without such a node."""
        stations = [station for station in self._stations.all() if station.host.node == node]
        if not stations:
            raise NotFound(f"no node {node}")
        return self._sum(node, [(station, self._fresh(station)) for station in self._refreshed(stations)])

    def close(self) -> None:
        """Ask no more; questions under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _refreshed(self, stations: list[Station]) -> list[Station]:
        asked = [asking for station in stations if (asking := self._ask(station))]
        wait(asked, PATIENCE_SECONDS)
        return stations

    def _ask(self, station: Station) -> Future[HostUsage | None] | None:
        """Have a host asked, unless its figures are fresh or it is away; one question at a time."""
        with self._lock:
            host = self._hosts.setdefault(station.host.name, _Host())
            if host.asking and not host.asking.done():
                return host.asking
            if self._clock() < host.taken + FRESH_SECONDS or not (station.driving and station.contact.reachable):
                return None
            host.asking = self._threads.submit(self._look, station, host)
            return host.asking

    def _look(self, station: Station, host: _Host) -> HostUsage | None:
        try:
            usage = station.driver.stats()
        except InterlinkError as error:
            log.warning("host %s: no figures: %s", station.host.name, error)
            usage = None
        with self._lock:
            host.usage, host.taken = usage, self._clock()
        return usage

    def _fresh(self, station: Station) -> HostUsage | None:
        """Return figures that are not much older than they should be."""
        with self._lock:
            host = self._hosts[station.host.name]
            return host.usage if self._clock() < host.taken + FRESH_SECONDS + PATIENCE_SECONDS else None

    def _sum(self, node: str, found: list[tuple[Station, HostUsage | None]]) -> NodeUsage:
        """Add up. A host without figures leaves the node without: a counter must never fall."""
        usages = [usage for _, usage in found if usage is not None]
        whole = len(usages) == len(found)
        pods = [pod for station, usage in found if usage for pod in self._pods(station.host.name, usage)]
        return NodeUsage(
            node,
            max((usage.taken_at for usage in usages), default=None),
            _total(usage.cpu_seconds for usage in usages) if whole else None,
            _total(usage.memory_bytes for usage in usages) if whole else None,
            tuple(pods),
        )

    def _pods(self, host: str, usage: HostUsage) -> Iterable[PodUsage]:
        for row in self._book.on(host):
            if row.uid in usage.pods:
                yield PodUsage(row.uid, row.namespace, row.name, usage.taken_at, usage.pods[row.uid])


def _total(amounts: Iterable[Number | None]) -> Number | None:
    known = list(amounts)
    present = [amount for amount in known if amount is not None]
    return sum(present) if present and len(present) == len(known) else None
