"""Pure rules of `interlink run`: what to tell while a pod goes on, and the exit code at its end."""

from __future__ import annotations

from collections.abc import Iterator

from interlink.model.driver import PodRecord
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, Terminated, Waiting

# Waiting reasons that only a change from outside mends; the kubelet's own spelling.
STUCK = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)
QUIET = frozenset({"ContainerCreating", "PodInitializing", ""})


def exit_code(status: PodStatus) -> int:
    """Return the exit code that stands for a finished pod.

    0 for Succeeded. For Failed the first non-zero code of a container's last attempt, inits then mains
    in the order of the file; native sidecars do not count; 1 if none says anything.
    """
    if status.phase is Phase.SUCCEEDED:
        return 0
    judged = [c for c in (*status.inits, *status.mains) if c.kind is not Kind.SIDECAR]
    codes = (c.state.exit_code for c in judged if isinstance(c.state, Terminated))
    return next((code for code in codes if code), 1)


def complaint(record: PodRecord) -> str | None:
    """Return why a pod that has not started will not start by itself, or None."""
    for container in record.status.containers:
        if isinstance(container.state, Waiting) and container.state.reason in STUCK:
            return _waiting(container, container.state)
    if not record.host and (record.status.reason or record.status.message):
        return ": ".join(filter(None, (record.status.reason, record.status.message)))
    return None


def started(status: PodStatus) -> bool:
    """Tell whether any container has ever run."""
    return any(isinstance(c.state, Running | Terminated) or c.last_state for c in status.containers)


def progress(before: PodRecord | None, after: PodRecord, driver: str = "") -> Iterator[str]:
    """Yield a line for each thing that a user wants to know of the step from `before` to `after`."""
    if after.host and not (before and before.host):
        yield f"placed on {after.host}" + (f" ({driver})" if driver else "")
    old = {c.name: c for c in before.status.containers} if before else {}
    for container in after.status.containers:
        line = _container_line(old.get(container.name), container)
        if line:
            yield line


def _container_line(old: ContainerStatus | None, new: ContainerStatus) -> str | None:
    if old and old.state == new.state and old.restart_count == new.restart_count:
        return None
    match new.state:
        case Waiting(reason=reason) as state if reason not in QUIET:
            return _waiting(new, state)
        case Running():
            return f"{new.name}: running" + (f" (restart {new.restart_count})" if new.restart_count else "")
        case Terminated(exit_code=code, reason=reason, message=message) if code or new.kind is Kind.INIT:
            told = f"{new.name}: {reason or 'ended'}, exit code {code}"
            return told + (f": {message}" if message else "")
        case _:
            return None


def _waiting(container: ContainerStatus, state: Waiting) -> str:
    return f"{container.name}: {state.reason}" + (f": {state.message}" if state.message else "")


def ending(status: PodStatus) -> str:
    """Return one line on how a pod ended."""
    detail = ": ".join(filter(None, (status.reason, status.message)))
    return status.phase.value.lower() + (f" ({detail})" if detail else "")
