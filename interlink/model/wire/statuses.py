"""Statuses of pods and containers as JSON, and the rules that keep the Go virtual kubelet safe.

That kubelet panics, or ends pods, on reports that are incomplete or out of order. Every rule below is
a branch of its `handleInitContainersUpdate`, `handleContainersUpdate` and `checkPodsStatus`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from interlink.model.pod import Container, Pod, PodRef
from interlink.model.status import (
    ContainerStatus,
    Kind,
    Phase,
    PodStatus,
    Running,
    Terminated,
    Waiting,
)
from interlink.model.wire import containers
from interlink.model.wire.schema import anything, list_of, string, struct

_EXCLUDED = {
    Kind.MAIN: "interlink.eu/disable-offload-containers",
    Kind.INIT: "interlink.eu/disable-offload-init-containers",
    Kind.SIDECAR: "interlink.eu/disable-offload-init-containers",
}
_COMPLETED = Terminated(0, reason="Completed")
_INITIALIZING = Waiting("PodInitializing")

_POD_STATUS = struct(
    {
        **dict.fromkeys(("name", "UID", "namespace"), string),
        "JID": anything,
        **dict.fromkeys(("containers", "initContainers"), list_of(containers.CONTAINER)),
    },
    snake_case=True,
)


def contract_status(value: Any) -> list[PodStatus]:
    """Read the answer to /status of any server or plugin; snake_case keys of old plugins are fine.

    The phase is what the containers say to the letter: this contract does not carry it.
    """
    return [_pod_status(fields) for fields in list_of(_POD_STATUS)(value, "")]


def contract_statuses(asked: Collection[PodRef] | None, statuses: Sequence[PodStatus]) -> list[dict[str, Any]]:
    """Write the answer to /status: the asked pods in their order, nothing else; all for None.

    Every container of the asked manifest is there every time, whatever the driver knows of it.
    """
    if asked is None:
        return [_status_json(status, status.inits, status.mains) for status in statuses]
    known = {status.uid: status for status in statuses}
    return [_asked_json(ref, known[ref.uid]) for ref in asked if ref.uid in known]


def _asked_json(ref: PodRef, status: PodStatus) -> dict[str, Any]:
    pod = Pod(ref.raw)
    status = replace(status, name=ref.name or status.name, namespace=ref.namespace or status.namespace)
    if not pod.containers:  # asked by identity alone: there is no manifest to complete the report from
        return _status_json(status, status.inits, status.mains)
    seen = [_seen(pod, status, container) for container in pod.containers]
    inits = [item for item in seen if item.kind is not Kind.MAIN]
    mains = [item for item in seen if item.kind is Kind.MAIN]
    if status.terminal:
        return _status_json(status, *_ended(status, inits, mains))
    started = any(not isinstance(main.state, Waiting) or main.last_state for main in mains)
    live = [_restarting(item, pod.restart_policy) for item in mains]
    return _status_json(status, _in_order(inits, pod.restart_policy, mains_started=started), live)


def _seen(pod: Pod, status: PodStatus, spec: Container) -> ContainerStatus:
    """Return what is known of a container of the spec; `Waiting` where nothing is."""
    excluded = str(pod.annotations.get(_EXCLUDED[spec.kind]) or "")
    known = next((item for item in status.containers if item.name == spec.name), None)
    if known is None or spec.name in (name.strip() for name in excluded.split(",")):
        known = ContainerStatus(spec.name, state=Waiting(message="not run by interLink" if excluded else ""))
    image = known.image or spec.image
    return replace(
        known, kind=spec.kind, image=image, image_id=known.image_id or image, ready=isinstance(known.state, Running)
    )


def _restarting(container: ContainerStatus, policy: str) -> ContainerStatus:
    """A container that will be restarted waits: a Terminated one would end the pod for good."""
    match container.state:
        case Terminated(exit_code=code) if policy == "Always" or (policy == "OnFailure" and code != 0):
            waiting = Waiting("CrashLoopBackOff", f"last exit code {code}; to be restarted")
            return replace(container, state=waiting, last_state=container.state, ready=False)
    return container


def _in_order(inits: Iterable[ContainerStatus], policy: str, *, mains_started: bool) -> Iterable[ContainerStatus]:
    """Report inits so that none has ended while an earlier one has not.

    A started native sidecar counts as ended: Running would hold the pod at `Init:0/1` for ever.
    """
    ordered = list(inits)
    begun = [not isinstance(item.state, Waiting) or item.last_state is not None for item in ordered]
    result: list[ContainerStatus] = []
    blocked = False
    for index, item in enumerate(ordered):
        passed = mains_started or any(begun[index + 1 :])
        if item.kind is Kind.SIDECAR:
            shown = replace(item, state=_COMPLETED, ready=False) if begun[index] or passed else item
        elif passed and not isinstance(item.state, Terminated):
            shown = replace(item, state=_COMPLETED, ready=False)
        else:
            shown = _restarting(item, "OnFailure" if policy == "Always" else policy)
        if blocked:
            shown = replace(shown, state=_INITIALIZING, ready=False)
        blocked = blocked or not isinstance(shown.state, Terminated)
        result.append(shown)
    return result


def _ended(
    status: PodStatus, inits: Sequence[ContainerStatus], mains: Sequence[ContainerStatus]
) -> tuple[list[ContainerStatus], list[ContainerStatus]]:
    """Report an ended pod: everything Terminated, and with a code other than 0 exactly if it Failed."""
    why = ": ".join(part for part in (status.reason, status.message) if part)
    inits = [_closed(item, Terminated(0, reason="Completed", message="never started")) for item in inits]
    mains = [_closed(item, Terminated(0, reason="Completed", message=why or "never started")) for item in mains]
    if status.phase is Phase.SUCCEEDED:
        return [_recoded(item, 0) for item in inits], [_recoded(item, 0) for item in mains]
    counted = [item for item in inits if item.kind is Kind.INIT] + list(mains)
    if not any(isinstance(item.state, Terminated) and item.state.exit_code for item in counted):
        mains = [_recoded(item, 1, why or "the pod has failed") for item in mains]
    return list(inits), list(mains)


def _closed(container: ContainerStatus, otherwise: Terminated) -> ContainerStatus:
    if container.kind is Kind.SIDECAR:
        return replace(container, state=_COMPLETED, ready=False)
    if isinstance(container.state, Terminated):
        return replace(container, ready=False)
    return replace(container, state=otherwise, ready=False)


def _recoded(container: ContainerStatus, code: int, message: str = "") -> ContainerStatus:
    old = container.state if isinstance(container.state, Terminated) else Terminated(code)
    return replace(container, state=replace(old, exit_code=code, message=message or old.message))


def _status_json(
    status: PodStatus, inits: Iterable[ContainerStatus], mains: Iterable[ContainerStatus]
) -> dict[str, Any]:
    return {
        "name": status.name,
        "UID": status.uid,
        "namespace": status.namespace,
        "JID": status.jid or status.uid,
        "containers": [containers.container_json(item) for item in mains] or None,
        "initContainers": [containers.container_json(item) for item in inits] or None,
    }


def _pod_status(fields: dict[str, Any]) -> PodStatus:
    inits = [containers.from_fields(item, Kind.INIT) for item in fields.get("initContainers", ())]
    mains = [containers.from_fields(item, Kind.MAIN) for item in fields.get("containers", ())]
    jid = fields.get("JID")
    return PodStatus(
        uid=fields.get("UID", ""),
        namespace=fields.get("namespace", ""),
        name=fields.get("name", ""),
        jid="" if jid is None else str(jid),
        phase=_phase(inits, mains),
        containers=(*inits, *mains),
    )


def _phase(inits: Sequence[ContainerStatus], mains: Sequence[ContainerStatus]) -> Phase:
    """The phase as the Go virtual kubelet derives it: Terminated is final on this contract."""
    if not mains:
        return Phase.UNKNOWN
    states = [item.state for item in (*inits, *mains)]
    if all(isinstance(item.state, Terminated) for item in mains):
        failed = any(isinstance(state, Terminated) and state.exit_code for state in states)
        return Phase.FAILED if failed else Phase.SUCCEEDED
    if any(isinstance(item.state, Running) for item in mains):
        return Phase.RUNNING
    return Phase.PENDING
