"""In-place resize, which no host of ours can do: what containers were given is kept in view, and the wish refused.

Nobody can forbid a resize beforehand: the spec changes at once. What a container runs with stands in its status from
the first one on, as a real kubelet writes it; so a restarted kubelet still knows. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlink.model.pod import Json

PENDING = "PodResizePending"
MESSAGE = "A virtual node cannot resize containers that run: delete the pod and create it anew"
_STATUSES = ("initContainerStatuses", "containerStatuses")

Resources = Mapping[str, Mapping[str, str]]


def given(pod: Json) -> dict[str, Resources]:
    """Return the resources of a submitted pod's containers: what was told first, before that what is asked for."""
    status = pod.get("status") or {}
    told = {
        item["name"]: item["resources"] for key in _STATUSES for item in status.get(key) or () if "resources" in item
    }
    return {name: _amounts(told.get(name, resources)) for name, resources in _asked(pod).items()}


def shown(resources: Resources) -> dict[str, Any]:
    """Return what a container's status says of its resources."""
    requests = resources.get("requests")
    return {"resources": resources, **({"allocatedResources": requests} if requests else {})}


def pending(pod: Json, now: str) -> list[dict[str, Any]]:
    """Return the condition of a pod of which another size is asked than it was given; none for any other."""
    asked = {name: _amounts(resources) for name, resources in _asked(pod).items()}
    if asked == given(pod):
        return []
    conditions = (pod.get("status") or {}).get("conditions") or ()
    since = next((item["lastTransitionTime"] for item in conditions if item["type"] == PENDING), now)
    verdict = {"type": PENDING, "status": "True", "reason": "Infeasible", "message": MESSAGE}
    generation = pod["metadata"].get("generation")
    observed = {"observedGeneration": generation} if generation else {}
    return [{**verdict, **observed, "lastProbeTime": None, "lastTransitionTime": since}]


def _asked(pod: Json) -> dict[str, Json]:
    spec = pod["spec"]
    listed = [*(spec.get("initContainers") or ()), *spec["containers"]]
    return {item["name"]: item.get("resources") or {} for item in listed}


def _amounts(resources: Json) -> Resources:
    return {key: dict(resources[key]) for key in ("requests", "limits") if resources.get(key)}
