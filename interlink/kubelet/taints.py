"""The taints of a virtual node; pure.

They are given by the creating POST and changed by merge patches of the whole list with a resourceVersion,
never by apply: that would own the list, the node controller's not-ready taint included (kubelet.md 1.1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from interlink.model.driver import NodeRecord, Taint

Json = dict[str, Any]

NO_SCHEDULE = Taint("virtual-node.interlink/no-schedule", "true", "NoSchedule")
UNREACHABLE = Taint("virtual-node.interlink/unreachable", "", "NoSchedule")
MEMORY = "virtual-node.interlink/taints"  # annotation: what we asked for last


def wanted(own: Taint | None, record: NodeRecord | None) -> tuple[Taint, ...]:
    """Return the taints of the configuration: our own, or what stands in its place, and the inventory's."""
    stated = [taint for taint in (record.taints if record else ()) if taint.key != NO_SCHEDULE.key]
    return tuple(dict.fromkeys([*([own] if own else []), *stated]))


def patch(asked: Sequence[Taint] | None, node: Json, *, away: bool) -> Json | None:
    """Return the merge patch that puts a node's taints right, None if they are.

    The node remembers in an annotation what was asked for last. So a taint that leaves the inventory goes,
    one that an administrator has removed stays removed, and those of others are left as they are.
    `asked` is None while nobody knows what the inventory says; `away` sets and removes the unreachable taint.
    """
    metadata = node["metadata"]
    remembered = (metadata.get("annotations") or {}).get(MEMORY)
    before: list[Json] = list((node.get("spec") or {}).get("taints") or [])
    after = before if asked is None else _merged(before, _recalled(remembered), asked)
    after = _marked(after, away=away)
    memory = remembered if asked is None else remember(asked)
    if after == before and memory == remembered:
        return None
    change: Json = {"metadata": {"resourceVersion": metadata["resourceVersion"]}}
    if memory != remembered:
        change["metadata"]["annotations"] = {MEMORY: memory}
    if after != before:
        change["spec"] = {"taints": after}
    return change


def remember(taints: Sequence[Taint]) -> str:
    """Return the text of the annotation."""
    return json.dumps([to_json(taint) for taint in taints], separators=(",", ":"))


def to_json(taint: Taint) -> Json:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, **value, "effect": taint.effect}


def _merged(before: list[Json], last: set[Taint], asked: Sequence[Taint]) -> list[Json]:
    dropped = {_key(to_json(taint)) for taint in last.difference(asked)}
    kept = [item for item in before if _key(item) not in dropped]
    there = {_key(item) for item in kept}
    return kept + [to_json(taint) for taint in asked if taint not in last and _key(to_json(taint)) not in there]


def _marked(taints: list[Json], *, away: bool) -> list[Json]:
    mark = to_json(UNREACHABLE)
    others = [item for item in taints if _key(item) != _key(mark)]
    if away == (len(others) < len(taints)):
        return taints
    return [*others, mark] if away else others


def _key(item: Json) -> tuple[str, str]:
    """What tells taints apart for Kubernetes."""
    return item["key"], item["effect"]


def _recalled(text: str | None) -> set[Taint]:
    try:
        return {Taint(item["key"], item.get("value", ""), item["effect"]) for item in json.loads(text or "[]")}
    except (ValueError, TypeError, KeyError, AttributeError):  # somebody has edited it: nothing is remembered
        return set()
