"""The conditions of a pod that a kubelet owns; pure.

Source: `pkg/kubelet/status/generate.go` of Kubernetes 1.36. A condition's time changes only with its status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlink.model.pod import Json

OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True)
class Facts:
    """What the conditions follow from. `inits` and `mains` are container statuses as the API has them.

    `sandbox` says that the pod has its network and volumes.
    """

    pod: Json
    phase: str
    inits: Sequence[Json]
    mains: Sequence[Json]
    sandbox: bool


def conditions(facts: Facts, now: str) -> list[dict[str, Any]]:
    """Return all that we own; `now` is the time of those whose status has changed."""
    containers = _containers_ready(facts)
    found = {
        "PodReadyToStartContainers": _is(facts.sandbox),
        "Initialized": _initialized(facts),
        "Ready": _ready(facts, containers),
        "ContainersReady": containers,
        "PodScheduled": _is(True),
    }
    old = {item.get("type"): item for item in (facts.pod.get("status") or {}).get("conditions") or []}
    return [_dated(kind, found[kind], old.get(kind), facts.pod, now) for kind in OWNED]


Verdict = Mapping[str, str]


def _is(value: bool) -> Verdict:  # noqa: FBT001
    return {"status": "True" if value else "False"}


def _false(reason: str, message: str = "") -> Verdict:
    return {"status": "False", "reason": reason, **({"message": message} if message else {})}


def _dated(kind: str, verdict: Verdict, old: Json | None, pod: Json, now: str) -> dict[str, Any]:
    since = old.get("lastTransitionTime") if old and old.get("status") == verdict["status"] else None
    generation = pod["metadata"].get("generation")
    observed = {"observedGeneration": generation} if generation else {}
    return {"type": kind, **observed, **verdict, "lastProbeTime": None, "lastTransitionTime": since or now}


def _containers_ready(facts: Facts) -> Verdict:
    spec = facts.pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    known = {status["name"]: status for status in (*facts.inits, *facts.mains)}
    names = [str(c["name"]) for c in (*sidecars, *spec["containers"])]
    unknown = [name for name in names if name not in known]
    unready = [name for name in names if name in known and not known[name].get("ready")]
    if facts.phase == "Succeeded" and not unknown:
        return _false("PodCompleted")
    if facts.phase == "Failed":
        return _false("PodFailed")
    message = _listed(("unknown", unknown), ("unready", unready))
    return _false("ContainersNotReady", message) if message else _is(True)


def _ready(facts: Facts, containers: Verdict) -> Verdict:
    if containers["status"] != "True":
        return containers
    gates = facts.pod["spec"].get("readinessGates") or []
    old = {item.get("type"): item for item in (facts.pod.get("status") or {}).get("conditions") or []}
    said = [text for gate in gates if (text := _gate(str(gate.get("conditionType")), old))]
    return _false("ReadinessGatesNotReady", ", ".join(said)) if said else containers


def _gate(kind: str, old: Mapping[Any, Json]) -> str:
    if kind not in old:
        return f'corresponding condition of pod readiness gate "{kind}" does not exist.'
    status = old[kind].get("status")
    return "" if status == "True" else f'the status of pod readiness gate "{kind}" is not "True", but {status}'


def _initialized(facts: Facts) -> Verdict:
    spec = facts.pod["spec"]
    known = {status["name"]: status for status in facts.inits}
    names = [str(c["name"]) for c in spec.get("initContainers") or []]
    unknown = [name for name in names if name not in known]
    sidecars = {c["name"] for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"}
    incomplete = [
        name for name in names if name in known and not known[name].get("started" if name in sidecars else "ready")
    ]
    if facts.phase == "Succeeded" and not unknown:
        return {"status": "True", "reason": "PodCompleted"}
    if any(_has_started(status) for status in facts.mains):
        return _is(True)
    message = _listed(("unknown", unknown), ("incomplete", incomplete))
    return _false("ContainersNotInitialized", message) if message else _is(True)


def _has_started(status: Json) -> bool:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    return "running" in state or "terminated" in last or bool((state.get("terminated") or {}).get("containerID"))


def _listed(*groups: tuple[str, Iterable[str]]) -> str:
    """Write lists of containers as Go prints them: `containers with unready status: [a b]`."""
    return ", ".join(f"containers with {what} status: [{' '.join(names)}]" for what, names in groups if names)
