"""Which of our hosts takes a pod: placement, and what each host's driver refuses."""

from __future__ import annotations

import logging
import threading

from interlink import placement
from interlink.dispatcher.book import Book
from interlink.dispatcher.stations import Station, Stations
from interlink.errors import InvalidPod, Unavailable, Unplaced
from interlink.model.pod import PodRequest

log = logging.getLogger(__name__)


class Chooser:
    """Chooses, and counts the pod against its host at once, so that the next choice sees it."""

    def __init__(self, book: Book, stations: Stations, *, strict: bool = False) -> None:
        self._book, self._stations, self._strict = book, stations, strict
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def choose(self, request: PodRequest) -> str:
        """Return a host that takes the pod now, already charged for it.

        InvalidPod if no driver will ever take it, Unplaced if no host fits at present.
        """
        pod = request.pod
        demand = placement.demand_of(pod)
        with self._lock:
            stations = {s.host.name: s for s in self._stations.all()}
            hosts = [s.candidate(self._book.load(name)) for name, s in stations.items()]
            group = list(placement.group_of(pod, hosts))
            refusals: list[InvalidPod] = []
            while True:
                try:
                    policy = _policy([stations[host.name] for host in group])
                    choice = placement.place(pod, group, policy=policy, strict=self._strict)
                except Unplaced:
                    _raise_refusal(request, [stations[host.name] for host in group], refusals)
                    raise
                refusal = _refusal(stations[choice.host], request)
                if refusal is None:
                    self._warn(choice.warnings)
                    self._book.charge(pod.uid, choice.host, demand)
                    return choice.host
                refusals.append(refusal)
                group = [host for host in group if host.name != choice.host]

    def node_of(self, host: str) -> str:
        station = self._stations.get(host)
        return station.host.node if station else ""

    def _warn(self, warnings: tuple[str, ...]) -> None:
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                log.warning("%s", warning)


def _policy(stations: list[Station]) -> placement.Policy:
    stated = {str(s.host.get("interlink_placement") or "spread") for s in stations}
    return "pack" if stated == {"pack"} else "spread"


def _refusal(station: Station, request: PodRequest) -> InvalidPod | None:
    """Return why this host's driver will never take the pod, or None if it would or cannot be asked."""
    try:
        station.driver.check(request)
    except InvalidPod as error:
        return error
    except Unavailable:
        return None
    return None


def _raise_refusal(request: PodRequest, left: list[Station], refusals: list[InvalidPod]) -> None:
    """Raise a refusal if nobody is left who might take the pod some day."""
    for station in left:
        refusal = _refusal(station, request) if station.driving else None
        if refusal is None:
            return
        refusals.append(refusal)
    if refusals:
        raise refusals[0]
