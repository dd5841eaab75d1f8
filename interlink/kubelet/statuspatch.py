"""The least change that makes a pod's status in the API what it should be; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interlink.kubelet import resize
from interlink.model.pod import Json

_PASSING = frozenset({resize.PENDING})  # conditions of ours that go when we do not say them any more
_ADDRESSES = ("podIPs", "hostIPs")  # lists that merge by address: an old one would stay


def patch(pod: Json, status: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a strategic merge patch for `pods/NAME/status`, None if there is nothing to change.

    It carries the UID, so that it can never hit another pod of the same name (422). Foreign conditions stay.
    """
    old = pod.get("status") or {}
    changes = {key: value for key, value in status.items() if key != "conditions" and _differs(old.get(key), value)}
    for key in _ADDRESSES:
        if key in changes and old.get(key):
            changes[key] = [*changes[key], {"$patch": "replace"}]
    conditions = _conditions(old.get("conditions") or [], status.get("conditions") or [])
    if conditions:
        changes["conditions"] = conditions
    return {"metadata": {"uid": pod["metadata"]["uid"]}, "status": changes} if changes else None


def _conditions(old: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    known = {item.get("type"): item for item in old}
    gone = _PASSING.intersection(known) - {item["type"] for item in new}
    changed = [item for item in new if _differs(known.get(item["type"]), item)]
    return [*changed, *({"type": kind, "$patch": "delete"} for kind in sorted(gone))]


def _differs(old: Any, new: Any) -> bool:
    return bool(_plain(old) != _plain(new))


def _plain(value: Any) -> Any:
    """Return a value without what the API leaves out: null and empty objects."""
    if isinstance(value, Mapping):
        return {key: plain for key, item in value.items() if (plain := _plain(item)) not in (None, {})}
    if isinstance(value, list):
        return [_plain(item) for item in value] or None
    return value or None if isinstance(value, str) else value
