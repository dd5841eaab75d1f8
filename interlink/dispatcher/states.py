"""What the dispatcher itself says about pods, where no host has said anything or not all of it; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from interlink.ledger import ContainerRow, PodRow
from interlink.model.driver import PodRecord
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, State, Terminated, Waiting

LOST = "ContainerStatusUnknown"
LOST_MESSAGE = "The container could not be located when the pod was terminated"


def utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def waiting(row: PodRow, reason: str = "ContainerCreating", message: str = "") -> PodStatus:
    """Return the status of a pod that no host has reported yet; `reason` and `message` say why it waits."""
    status = row.status or PodStatus(row.uid)
    said = "" if reason == "ContainerCreating" else reason
    return complete(row, replace(status, phase=Phase.PENDING, reason=said, message=message))


def refused(row: PodRow, reason: str, message: str, now: float) -> PodStatus:
    """Return the final status of a pod that was refused for good: every container has failed with the reason."""
    ended = Terminated(1, reason, message, finished_at=utc(now))
    return _final(row, PodStatus(row.uid, reason=reason, message=message), ended, now)


def vanished(row: PodRow, now: float) -> PodStatus:
    """Return the final status of a pod that its host has lost without a word (decisions.md 21)."""
    message = "The pod is gone from its host, and nobody asked for that"
    last = replace(_last(row), reason=_last(row).reason or LOST, message=_last(row).message or message)
    return replace(_final(row, last, _lost(now), now), phase=Phase.FAILED)


def deleted(row: PodRow, seen: PodStatus | None, now: float) -> PodStatus:
    """Return the final status of a deleted pod: what the host saw last, and 137 for what it never said."""
    return _final(row, complete(row, seen) if seen else _last(row), _lost(now), now)


def observed(row: PodRow, seen: PodStatus, at: datetime) -> PodStatus:
    """Return an observation of the time `at` as it is kept: dated, named, complete.

    Where the host knows nothing, the last observation stays, with its own time.
    """
    if seen.phase is Phase.UNKNOWN and row.status is not None:
        return replace(row.status, phase=Phase.UNKNOWN)
    status = replace(complete(row, seen), observed_at=seen.observed_at or at)
    if status.terminal and any(isinstance(c.state, Running) for c in status.containers):
        return replace(status, phase=Phase.RUNNING)  # the kubelet, too, waits for sidecars before it says the end
    return status


def complete(row: PodRow, status: PodStatus) -> PodStatus:
    """Return the status with the pod's names and every container of the manifest, in its order (wire.md 3.3)."""
    seen = {c.name: c for c in status.containers}
    return replace(
        status,
        uid=row.uid,
        namespace=row.namespace,
        name=row.name,
        jid=status.jid or row.jid,
        containers=tuple(_container(c, seen.get(c.name), row) for c in row.containers),
    )


def same(a: PodStatus | None, b: PodStatus) -> bool:
    """Say whether two observations differ in nothing but their time."""
    return a is not None and replace(a, observed_at=b.observed_at) == b


def record(row: PodRow, *, stale: bool = False) -> PodRecord:
    """Return the pod as it is shown; `stale` says that its host has been silent for too long."""
    status = row.status or waiting(row)
    if stale and row.launched_at is not None and not row.final:
        status = replace(status, phase=Phase.UNKNOWN)
    return PodRecord(
        uid=row.uid,
        namespace=row.namespace,
        name=row.name,
        node=row.node,
        host=row.host or "",
        target=row.target,
        status=status,
        restart_policy=row.restart_policy,
        gone=row.confirmed_at is not None,
        origin=row.origin,
    )


def _container(row: ContainerRow, seen: ContainerStatus | None, pod: PodRow) -> ContainerStatus:
    if seen is not None:
        return replace(seen, kind=row.kind, image=seen.image or row.image)
    has_inits = any(c.kind is not Kind.MAIN for c in pod.containers)
    reason = "PodInitializing" if has_inits and row.kind is Kind.MAIN else "ContainerCreating"
    return ContainerStatus(row.name, row.kind, row.image, state=Waiting(reason))


def _last(row: PodRow) -> PodStatus:
    return complete(row, row.status or PodStatus(row.uid))


def _lost(now: float) -> Terminated:
    return Terminated(137, LOST, LOST_MESSAGE, finished_at=utc(now))


def _final(row: PodRow, last: PodStatus, ended: Terminated, now: float) -> PodStatus:
    """Return `last` with every container ended; those that had not are `ended`. Codes of mains decide the phase."""
    containers = tuple(replace(c, state=_ended(c.state, ended, c), ready=False) for c in complete(row, last).containers)
    codes = [c.state.exit_code for c in containers if c.kind is Kind.MAIN and isinstance(c.state, Terminated)]
    phase = Phase.SUCCEEDED if codes and not any(codes) else Phase.FAILED
    return replace(
        complete(row, last),
        phase=last.phase if last.terminal else phase,
        containers=containers,
        observed_at=last.observed_at or utc(now),
    )


def _ended(state: State, ended: Terminated, container: ContainerStatus) -> Terminated:
    if isinstance(state, Terminated):
        return state
    if isinstance(state, Waiting) and container.last_state is not None:
        return container.last_state  # it waited for its next attempt
    return ended
