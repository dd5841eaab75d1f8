"""A pod and what its backend reports -> the pod's status as a real kubelet writes it; pure.

Source: `convertStatusToAPIStatus`, `generateAPIPodStatus` and `TerminatePod` of the kubelet 1.36, checked
against recorded pods. `status.qosClass` is the API server's: it sets it at the creation and refuses another.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from interlink.kubelet import resize
from interlink.kubelet.podconditions import Facts, conditions
from interlink.model.driver import PodRecord
from interlink.model.pod import Container, Json, Pod
from interlink.model.status import ContainerStatus, Kind, Phase, Running, Terminated, Waiting, phase_of
from interlink.model.wire import gojson
from interlink.model.wire.containers import container, container_json, state_json

LOST = Terminated(137, "ContainerStatusUnknown", "The container could not be located when the pod was terminated")
DEADLINE = "Pod was active on the node longer than the specified deadline"


CRASH_LOOP = "CrashLoopBackOff"
MESSAGES_MAX = 12 << 10  # bytes of termination messages in a pod's status, as in the kubelet's `normalizeStatus`
# A container that waits for these has a sandbox on a real node; ours may make it only when it is needed.
_ON_HOST = (
    *("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"),
    *("CreateContainerError", "CreateContainerConfigError"),
)


@dataclass(frozen=True)
class Here:
    """What a status needs beside the pod and its job: the time, and the node's address until a host is known."""

    now: datetime
    address: str = ""


@dataclass(frozen=True)
class Held:
    """Why a pod is not submitted yet, by container; `""` stands for all others. Values are reason and message."""

    reasons: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def of(self, container: str) -> tuple[str, str] | None:
        return self.reasons.get(container) or self.reasons.get("")


@dataclass(frozen=True)
class _Parts:
    """What a status is put together from."""

    phase: str
    containers: Mapping[str, dict[str, Any]]
    reason: str = ""
    message: str = ""
    pod_ip: str = ""
    host_ip: str = ""
    sandbox: bool = False
    submitted: bool = True


def reported(pod: Json, job: PodRecord, here: Here) -> dict[str, Any] | None:
    """Return the status that a job amounts to; None while its host cannot say."""
    status = job.status
    if status.phase is Phase.UNKNOWN:
        return None
    seen = {c.name: c for c in status.containers}
    shown = {c.name: _container(c, _just_ended(pod, seen.get(c.name)), Pod(pod)) for c in Pod(pod).containers}
    ran = any(not isinstance(c.state, Waiting) or c.last_state for c in status.containers)
    begun = ran or any(isinstance(c.state, Waiting) and c.state.reason in _ON_HOST for c in status.containers)
    parts = _Parts(
        phase=status.phase.value,
        containers=shown,
        reason=status.reason if status.terminal else "",
        message=status.message if status.terminal else "",
        # One that ended before its address was seen had left by its host's, and one that waits for its image would.
        pod_ip=status.pod_ip or (status.host_ip if begun and (status.terminal or not ran) else ""),
        host_ip=status.host_ip,
        sandbox=not status.terminal and not job.gone and (bool(status.pod_ip) or begun),
    )
    return _status(pod, parts, here)


def shows_just_ended(pod: Json, job: PodRecord) -> bool:
    """Say whether `reported` shows as ended what is to be shown as backing off in a moment."""
    return any(_just_ended(pod, c) is not c for c in job.status.containers)


def _just_ended(pod: Json, seen: ContainerStatus | None) -> ContainerStatus | None:
    """Return a container that has just begun to back off as ended: nobody has seen that end yet.

    A real kubelet, too, shows the end before it shows the wait; `lastState` is then still the one before.
    """
    if seen is None or not isinstance(seen.state, Waiting) or seen.state.reason != CRASH_LOOP or not seen.last_state:
        return seen
    old = _previous(pod).get(seen.name)
    if old is None or not isinstance(old.state, Running) or old.container_id != seen.container_id:
        return seen
    return replace(seen, state=seen.last_state, last_state=old.last_state)


def held(pod: Json, why: Held, here: Here) -> dict[str, Any]:
    """Return the status of a pod that waits to be submitted."""
    shown = {c.name: _container(c, _waiting(c, Pod(pod), why), Pod(pod)) for c in Pod(pod).containers}
    return _status(pod, _Parts("Pending", shown, submitted=False), here)


def final(pod: Json, job: PodRecord | None, here: Here, *, reason: str = "", message: str = "") -> dict[str, Any]:
    """Return a terminal status for a pod that is over: what was seen last, 137 for what never said how it ended."""
    if job is not None and job.status.terminal and job.status.phase is not Phase.UNKNOWN:
        return reported(pod, job, here) or {}
    seen = {c.name: c for c in job.status.containers} if job is not None else _previous(pod)
    mine = Pod(pod)
    ended = [_ended(c, seen.get(c.name) or _unseen(c, mine), _initialized(seen, mine)) for c in mine.containers]
    phase = phase_of(tuple(ended), "Never")
    parts = _Parts(
        phase=(phase if phase.terminal and not reason else Phase.FAILED).value,
        containers={c.name: _container(spec, c, mine) for spec, c in zip(mine.containers, ended, strict=True)},
        reason=reason or (job.status.reason if job else ""),
        message=message or (job.status.message if job else ""),
        pod_ip=job.status.pod_ip if job else "",
        host_ip=job.status.host_ip if job else "",
    )
    return _status(pod, parts, here)


def refused(pod: Json, reason: str, message: str, here: Here) -> dict[str, Any]:
    """Return the status of a pod that was never admitted: no container statuses, as the real kubelet's."""
    old = pod.get("status") or {}
    parts = _Parts("Failed", {}, reason, message)
    status = _status(pod, parts, here)
    return status if old.get("containerStatuses") else {**status, "containerStatuses": [], "initContainerStatuses": []}


def _status(pod: Json, parts: _Parts, here: Here) -> dict[str, Any]:
    old = pod.get("status") or {}
    now = gojson.format_time(here.now) or ""
    sizes = resize.given(pod) if parts.submitted else {}
    shown = {
        name: {**item, **(resize.shown(sizes[name]) if name in sizes else {})}
        for name, item in parts.containers.items()
    }
    listed = [c for c in Pod(pod).containers if c.name in shown]
    inits = [shown[c.name] for c in listed if c.kind is not Kind.MAIN]
    mains = [shown[c.name] for c in listed if c.kind is Kind.MAIN]
    facts = Facts(pod, parts.phase, inits, mains, parts.sandbox)
    generation = pod["metadata"].get("generation")
    host = _address(parts.host_ip) or str(old.get("hostIP") or "") or _address(here.address)
    address = _address(parts.pod_ip) or str(old.get("podIP") or "")
    return {
        **({"observedGeneration": generation} if generation else {}),
        "phase": parts.phase,
        "conditions": [*conditions(facts, now), *(resize.pending(pod, now) if parts.submitted else ())],
        "message": parts.message or None,
        "reason": parts.reason or None,
        **({"hostIP": host, "hostIPs": [{"ip": host}]} if host else {}),
        **({"podIP": address, "podIPs": [{"ip": address}]} if address else {}),
        "startTime": old.get("startTime") or now,
        **({"initContainerStatuses": inits} if inits else {}),
        "containerStatuses": sorted(mains, key=lambda status: str(status["name"])),
    }


def _address(text: str) -> str:
    """Return an address if it is one: a malformed one would cost the whole status (422)."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _container(spec: Container, seen: ContainerStatus | None, pod: Pod) -> dict[str, Any]:
    """Return one container's status; `ready` and `started` are what its kind makes of the state."""
    known = _within(seen or _unseen(spec, pod), MESSAGES_MAX // len(pod.containers))
    shown = container_json(known)
    alive = isinstance(known.state, Running)
    completed = isinstance(known.state, Terminated) and known.state.exit_code == 0
    started = alive and (known.started or spec.kind is Kind.INIT)
    return {
        **shown,
        "image": known.image or spec.image,
        "state": state_json(known.state),
        "ready": completed if spec.kind is Kind.INIT else alive and known.ready,
        "started": started,
    }


def _within(seen: ContainerStatus, limit: int) -> ContainerStatus:
    """Return the status with at most so many bytes in each termination message."""
    state, last = seen.state, seen.last_state
    return replace(
        seen,
        state=_cut(state, limit) if isinstance(state, Terminated) else state,
        last_state=_cut(last, limit) if last else None,
    )


def _cut(state: Terminated, limit: int) -> Terminated:
    return replace(state, message=state.message.encode()[:limit].decode(errors="ignore"))


def _unseen(spec: Container, pod: Pod) -> ContainerStatus:
    has_inits = any(c.kind is not Kind.MAIN for c in pod.containers)
    return ContainerStatus(
        spec.name, spec.kind, spec.image, state=Waiting("PodInitializing" if has_inits else "ContainerCreating")
    )


def _waiting(spec: Container, pod: Pod, why: Held) -> ContainerStatus:
    said = why.of(spec.name)
    unseen = _unseen(spec, pod)
    return unseen if said is None else ContainerStatus(spec.name, spec.kind, spec.image, state=Waiting(*said))


def _previous(pod: Json) -> dict[str, ContainerStatus]:
    """Return what the API's status says of the containers."""
    old = pod.get("status") or {}
    mine = Pod(pod)
    listed = [*(old.get("initContainerStatuses") or []), *(old.get("containerStatuses") or [])]
    kinds = {c.name: c.kind for c in mine.containers}
    return {item["name"]: container(item, kinds.get(item["name"], Kind.MAIN)) for item in listed}


def _initialized(seen: Mapping[str, ContainerStatus], pod: Pod) -> bool:
    """Say whether the pod got past its init containers."""
    inits = [c for c in pod.containers if c.kind is not Kind.MAIN]
    mains = [seen[c.name] for c in pod.containers if c.kind is Kind.MAIN and c.name in seen]
    if not inits or any(not isinstance(c.state, Waiting) or c.last_state for c in mains):
        return True
    last = seen.get(inits[-1].name)
    if last is None:
        return False
    if last.kind is Kind.SIDECAR:
        return last.started
    return isinstance(last.state, Terminated) and last.state.exit_code == 0


def _ended(spec: Container, seen: ContainerStatus, initialized: bool) -> ContainerStatus:  # noqa: FBT001
    """Return the container as ended; one that was never reached goes on waiting."""
    if isinstance(seen.state, Terminated):
        return seen
    begun = isinstance(seen.state, Running) or seen.last_state is not None
    if spec.kind is Kind.MAIN and not initialized:
        return seen
    if spec.kind is not Kind.MAIN and not begun and not initialized:
        return seen
    return replace(seen, state=seen.last_state if isinstance(seen.state, Waiting) and seen.last_state else LOST)
