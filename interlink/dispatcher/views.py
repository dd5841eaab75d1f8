"""Nodes and hosts as `/v1` shows them, from stations; pure but for reading them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from interlink.dispatcher import capacity
from interlink.dispatcher.stations import Station
from interlink.model.driver import HostRecord, NodeRecord, Taint

Load = Callable[[str], Mapping[str, int]]


def host_record(station: Station, load: Mapping[str, int]) -> HostRecord:
    facts: dict[str, Any] = asdict(station.facts) if station.facts else {}
    return HostRecord(
        name=station.host.name,
        groups=station.host.groups,
        driver=station.kind,
        reachable=station.contact.reachable and not station.trouble,
        reason=station.contact.reason or station.trouble,
        facts=facts,
        load={**capacity.written(load), **({"orphans": sorted(station.orphans)} if station.orphans else {})},
    )


def node_records(stations: Sequence[Station], now: datetime) -> list[NodeRecord]:
    """Return one record for each node that the inventory names, in its order."""
    names = dict.fromkeys(s.host.node for s in stations if s.host.node and not s.leaving)
    return [node_record(name, [s for s in stations if s.host.node == name and not s.leaving], now) for name in names]


def node_record(name: str, stations: Sequence[Station], now: datetime) -> NodeRecord:
    """Return the node that these hosts make up. Hosts that are away for a moment still count."""
    amounts = capacity.written(capacity.total([capacity.capacity_of(s.host, s.facts) for s in stations if s.facts]))
    return NodeRecord(
        name=name,
        capacity=amounts,
        allocatable=amounts,
        labels=capacity.node_labels(name, [capacity.labels_of(s.host, s.facts) for s in stations]),
        taints=capacity.taints_of([s.host for s in stations]),
        conditions=(_ready(stations), _connectivity(stations, now), *_schedulers(stations)),
    )


def offer(stations: Sequence[Station]) -> tuple[dict[str, str], tuple[Taint, ...]]:
    """Return what all hosts together have, and the taints that the inventory gives them."""
    staying = [s for s in stations if not s.leaving]
    parts = [capacity.capacity_of(s.host, s.facts) for s in staying if s.facts]
    return capacity.written(capacity.total(parts)), capacity.taints_of([s.host for s in staying])[1:]


def _ready(stations: Sequence[Station]) -> dict[str, Any]:
    """Ready stays True while hosts are away, for False would evict the pods (decisions.md 23)."""
    known = [s for s in stations if s.facts]
    if known:
        return _condition("Ready", "True", "KubeletReady", "", _since(known, reachable=True))
    reasons = "; ".join(f"{s.host.name}: {s.contact.reason}" for s in stations)
    return _condition("Ready", "False", "HostsNotReady", reasons, _since(stations, reachable=False))


def _connectivity(stations: Sequence[Station], now: datetime) -> dict[str, Any]:
    away = [s for s in stations if s.contact.stale(now)]
    if len(away) < len(stations):
        return _condition("InterlinkConnectivity", "True", "HostsReachable", "", _since(stations, reachable=True))
    reasons = "; ".join(f"{s.host.name}: {s.contact.reason}" for s in away)
    return _condition("InterlinkConnectivity", "False", "HostsUnreachable", reasons, _since(away, reachable=False))


def _schedulers(stations: Sequence[Station]) -> tuple[dict[str, Any], ...]:
    """Tell of batch systems whether they answer; pods go on meanwhile, and none is started."""
    batch = [s for s in stations if s.kind == "slurm"]
    if not batch:
        return ()
    troubles = "; ".join(f"{s.host.name}: {s.trouble}" for s in batch if s.trouble)
    word, reason = ("False", "SchedulerUnavailable") if troubles else ("True", "SchedulerAvailable")
    return (_condition("InterlinkScheduler", word, reason, troubles, None),)


def _since(stations: Sequence[Station], *, reachable: bool) -> datetime | None:
    times = [s.contact.since for s in stations if s.contact.since and s.contact.reachable is reachable]
    return (min(times) if reachable else max(times)) if times else None


def _condition(kind: str, status: str, reason: str, message: str, since: datetime | None) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if since else None,
    }
