"""The conditions of a virtual node; pure.

Ready=False has running pods evicted after five minutes, and so has no condition at all. That is why Ready
stays True while the server or the hosts are away, and `InterlinkConnectivity` tells (decisions.md 23).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from interlink.model.driver import NodeRecord

Json = dict[str, Any]

READY, CONNECTIVITY = "Ready", "InterlinkConnectivity"
AWAY_SECONDS = 30.0  # so long a server or host may be silent before anybody is told
_QUIET = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "the hosts see to their memory"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "the hosts see to their disks"),
    "PIDPressure": ("KubeletHasSufficientPID", "the hosts see to their processes"),
    "NetworkUnavailable": ("RouteCreated", "the hosts have their own network"),
}


@dataclass(frozen=True)
class View:
    """What is known of a node at one moment.

    `record` is the server's, None while it has not named the node. `waiting` are the preconditions of Ready
    that do not hold yet. `away` is for how many seconds the server has been silent (0: it answers), `reason` why.
    `not_ready_after` (seconds) turns a longer outage into Ready=False; None never does.
    """

    record: NodeRecord | None = None
    waiting: tuple[str, ...] = ()
    away: float = 0.0
    reason: str = ""
    not_ready_after: float | None = None
    stopping: bool = False


def is_away(view: View) -> bool:
    """Say whether nothing new should be scheduled here: the server is away, or all hosts behind it are."""
    return _connectivity(view)[0] == "False"


def conditions(view: View, found: Mapping[str, Any], now: datetime) -> list[Json]:
    """Return all conditions. `found` is the node's status in the API: a transition time stays while the status does."""
    before = {item["type"]: item for item in found.get("conditions") or ()}
    said = {kind: ("False", reason, message) for kind, (reason, message) in _QUIET.items()}
    said[READY] = _ready(view, before.get(READY), had_capacity=bool(found.get("capacity")))
    said[CONNECTIVITY] = _connectivity(view)
    said |= {str(item["type"]): _stated(item) for item in _others(view.record, said)}
    return [_condition(kind, text, before.get(kind), now) for kind, text in said.items()]


def differ(said: Sequence[Json], found: Sequence[Json] | None) -> bool:
    """Say whether somebody else changed a condition of ours, or it has another meaning now."""
    before = {item["type"]: item for item in found or ()}
    keys = ("status", "reason", "message")
    return any(any(item.get(key) != before.get(item["type"], {}).get(key) for key in keys) for item in said)


def _ready(view: View, before: Mapping[str, Any] | None, *, had_capacity: bool) -> tuple[str, str, str]:
    if view.stopping:
        return "False", "KubeletStopped", "the virtual kubelet is shutting down"
    if view.not_ready_after is not None and view.away > view.not_ready_after:
        return "False", "InterlinkUnreachable", view.reason
    if view.waiting:
        return _while_waiting(view, before)
    stated = _of(view.record, READY)
    if stated is None or stated["status"] == "True" or had_capacity:
        return "True", "KubeletReady", "the virtual kubelet serves this node"
    return "False", str(stated.get("reason") or "HostsNotReady"), str(stated.get("message") or "")


def _while_waiting(view: View, before: Mapping[str, Any] | None) -> tuple[str, str, str]:
    """A restart leaves Ready as it was, until all preconditions hold (kubelet.md 1.3)."""
    if before is None or before["status"] == "False":
        return "False", "KubeletNotReady", f"waiting for {', '.join(view.waiting)}"
    return before["status"], before.get("reason", ""), before.get("message", "")


def _connectivity(view: View) -> tuple[str, str, str]:
    if view.away > AWAY_SECONDS:
        return "False", "InterlinkUnreachable", view.reason
    stated = _of(view.record, CONNECTIVITY)
    if stated is not None and stated["status"] == "False":
        return "False", str(stated.get("reason") or "HostsUnreachable"), str(stated.get("message") or "")
    return "True", "InterlinkReachable", "the interLink server answers"


def _others(record: NodeRecord | None, ours: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what the server says beyond the conditions that are ours to judge."""
    return [item for item in (record.conditions if record else ()) if item.get("type") not in ours]


def _stated(item: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(item.get("status") or "Unknown"), str(item.get("reason") or ""), str(item.get("message") or "")


def _of(record: NodeRecord | None, kind: str) -> Mapping[str, Any] | None:
    return next((item for item in (record.conditions if record else ()) if item.get("type") == kind), None)


def _condition(kind: str, text: tuple[str, str, str], before: Mapping[str, Any] | None, now: datetime) -> Json:
    status, reason, message = text
    since = before["lastTransitionTime"] if before and before["status"] == status else None
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": utc(now),
        "lastTransitionTime": since or utc(now),
    }


def utc(moment: datetime) -> str:
    """Write a time as Kubernetes does, in whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
