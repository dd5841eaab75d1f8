"""The evidence of one pod to its status, as a real kubelet would show it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from interlink.drivers.docker.inspect import Evidence, Record, time
from interlink.model.status import (
    ContainerStatus,
    Kind,
    Phase,
    PodStatus,
    Running,
    State,
    Terminated,
    Waiting,
    phase_of,
)

_GONE = Terminated(137, "ContainerStatusUnknown", "The container could not be located when the pod was terminated")
_DEADLINE = "Pod was active on the node longer than the specified deadline"
_ALIVE = ("running", "paused", "restarting", "stopping")
_NOT_STARTED = ("created", "configured", "initialized")


def pod_status(evidence: Evidence, engine: str, host_ip: str, taken_at: datetime) -> PodStatus:
    """Return the status of one pod; phase UNKNOWN where the evidence is not enough."""
    skeleton = evidence.skeleton
    about = _About(evidence, engine)
    containers = tuple(about.container(raw) for raw in skeleton["containers"])
    record = evidence.records.get(".pod", {})
    sandbox = _newest(evidence.engine.get("_pause") or evidence.engine.get(skeleton["containers"][-1]["name"]) or {})
    status = PodStatus(
        uid=evidence.uid,
        namespace=skeleton["namespace"],
        name=skeleton["name"],
        jid=str(sandbox.get("id") or evidence.uid),
        containers=containers,
        pod_ip=_address(sandbox, host_ip) or record.get("IP", "").partition(":")[2],
        host_ip=host_ip,
        started_at=_epoch(record.get("STARTED", "")),
        observed_at=taken_at,
    )
    if evidence.kept:
        return _final(status, record)
    return _judged(status, record, skeleton["policy"], lost=about.lost and evidence.going)


def _judged(status: PodStatus, record: Record, policy: str, *, lost: bool) -> PodStatus:
    """Add phase and reason."""
    if lost:
        return replace(status, phase=Phase.UNKNOWN)
    phase = phase_of(status.containers, policy)
    alive = any(isinstance(c.state, Running) for c in status.containers)
    if record.get("DONE") and record.get("REASON"):
        ended = tuple(replace(c, state=_ended(c)) for c in status.containers)
        message = _DEADLINE if record["REASON"] == "DeadlineExceeded" else ""
        return replace(status, phase=Phase.FAILED, reason=record["REASON"], message=message, containers=ended)
    if phase.terminal and (alive or (record.get("REASON") and not record.get("DONE"))):
        return replace(status, phase=Phase.RUNNING)  # it has been decided, but something still stops
    if record.get("DONE") and not phase.terminal:
        # the sandbox was lost and nothing is to be started again
        return replace(
            status, phase=Phase.FAILED, containers=tuple(replace(c, state=_ended(c)) for c in status.containers)
        )
    return replace(status, phase=phase)


def _final(status: PodStatus, record: Record) -> PodStatus:
    """Return the status of a deleted pod: everything has ended, the codes decide."""
    failed_init = any(
        c.kind is Kind.INIT and isinstance(c.state, Terminated) and c.state.exit_code for c in status.containers
    )
    if failed_init and record.get("OVER"):
        return replace(status, phase=Phase.FAILED)
    containers = tuple(replace(c, state=_ended(c), ready=False, started=False) for c in status.containers)
    codes = [c.state.exit_code for c in containers if isinstance(c.state, Terminated) and c.kind is not Kind.SIDECAR]
    reason = record.get("REASON", "")
    return replace(
        status,
        containers=containers,
        phase=Phase.FAILED if any(codes) or reason else Phase.SUCCEEDED,
        reason=reason,
        message=_DEADLINE if reason == "DeadlineExceeded" else "",
    )


def _ended(container: ContainerStatus) -> State:
    if isinstance(container.state, Terminated):
        return container.state
    return container.last_state or _GONE


class _About:
    """Judges the containers of one pod."""

    def __init__(self, evidence: Evidence, engine: str) -> None:
        self._evidence, self._engine = evidence, engine
        has_inits = any(c["kind"] != Kind.MAIN.value for c in evidence.skeleton["containers"])
        sandbox_waits = evidence.messages.get("_pause", "") if evidence.records.get("_pause", {}).get("WAIT") else ""
        self._default = Waiting("PodInitializing" if has_inits else "ContainerCreating", sandbox_waits)
        self.lost = False  # a recorded container is not there and nobody has said how it ended

    def container(self, raw: Mapping[str, Any]) -> ContainerStatus:
        """Return one container's status."""
        name = raw["name"]
        record = self._evidence.records.get(name, {})
        attempts = self._evidence.engine.get(name, {})
        number = max([int(record.get("N", -1)), *attempts])
        recorded = record if int(record.get("N", -1)) == number else {}
        seen = attempts.get(number, {})
        state = self._state(number, seen, recorded)
        if isinstance(state, Terminated):
            state = self._with_message(state, name, number)
        before = self._before(attempts.get(number - 1), recorded)
        last = self._with_message(before, name, number - 1) if before else None
        # a record that is behind the engine still tells of the wait before this attempt
        waits = recorded.get("WAIT", "") if isinstance(state, Terminated) or number < 0 else ""
        if waits:
            last = state if isinstance(state, Terminated) else last
            state = self._waiting(name, waits, record, last)
        cared = self._cared(name, number)
        if isinstance(state, Running) and _awaits(raw, "poststart", cared, "CARE_HOOKED"):
            state, seen, recorded = self._default, {}, {}  # a real kubelet shows nothing of it before
        alive = isinstance(state, Running) and seen["state"]["Status"] != "paused"
        started = isinstance(state, Running) and not _awaits(raw, "startup", cared, "CARE_STARTED")
        completed = raw["kind"] == Kind.INIT.value and isinstance(state, Terminated) and state.exit_code == 0
        identity = str(seen.get("id") or recorded.get("ID") or "")
        return ContainerStatus(
            name=name,
            kind=Kind(raw["kind"]),
            image=raw["image"],
            image_id=_image_id(seen),
            container_id=f"{self._engine}://{identity}" if identity else "",
            state=state,
            last_state=last,
            ready=completed or (alive and started and not _awaits(raw, "readiness", cared, "CARE_READY")),
            started=started,
            restart_count=max(number, 0),
        )

    def _cared(self, name: str, attempt: int) -> Record:
        """Return what probes and hooks have found out of this very attempt."""
        found = self._evidence.records.get(f"{name}.care", {})
        return found if found.get("CARE_ATTEMPT") == str(attempt) else {}

    def _with_message(self, state: Terminated, name: str, attempt: int) -> Terminated:
        said = self._evidence.last_words.get((name, attempt))
        if state.reason == "StartError":  # podman's inspect does not repeat the error
            said = self._evidence.messages.get(name)
        return replace(state, message=said) if said and not state.message else state

    def _waiting(self, name: str, reason: str, record: Record, last: Terminated | None) -> Waiting:
        if reason == "CrashLoopBackOff":
            ended = last.finished_at if last and last.finished_at else _EPOCH
            delay = min(max(round(int(record.get("DUE", 0)) - ended.timestamp()), 10), 300)
            return Waiting(reason, f"back-off {delay}s restarting failed container={name}")
        message = self._evidence.messages.get(name, "")
        return Waiting(self._default.reason if reason == "Pulling" else reason, message)

    def _state(self, number: int, seen: Mapping[str, Any], record: Record) -> State:
        if number < 0:
            return self._default
        if not seen:
            if not record.get("RC"):
                self.lost = True
            return self._recorded(record) if record.get("RC") else _GONE
        state = seen["state"]
        if state["Status"] in _ALIVE:
            return Running(time(state.get("StartedAt")))
        if state["Status"] in _NOT_STARTED and not record.get("RC"):  # the next step decides whether it can start
            return self._default
        return self._terminated(seen, record)

    def _terminated(self, seen: Mapping[str, Any], record: Record) -> Terminated:
        state = seen["state"]
        identity = f"{self._engine}://{seen['id']}"
        if state["Status"] in _NOT_STARTED:
            message = str(state.get("Error") or "")
            return Terminated(
                128,
                "StartError",
                message,
                started_at=_EPOCH,
                finished_at=time(seen.get("created")),
                container_id=identity,
            )
        code = int(state.get("ExitCode") or 0)
        oom = bool(state.get("OOMKilled")) and code != 0
        began, finished = _times(state.get("StartedAt"), state.get("FinishedAt"))
        return Terminated(
            code,
            "OOMKilled" if oom else "Error" if code else "Completed",
            started_at=began,
            finished_at=finished,
            container_id=identity,
        )

    def _before(self, seen: Mapping[str, Any] | None, record: Record) -> Terminated | None:
        """Return how the attempt before this one ended, by the engine or by our record."""
        if seen is not None:
            return self._terminated(seen, {})
        code, why, began, ended, identity = [*record.get("LAST", "").split(","), "", "", "", ""][:5]
        return (
            self._recorded({"RC": code, "WHY": why, "BEGAN": began, "ENDED": ended, "ID": identity}) if code else None
        )

    def _recorded(self, record: Record) -> Terminated:
        code = int(record["RC"])
        began, finished = _times(record.get("BEGAN"), record.get("ENDED"))
        return Terminated(
            code,
            record.get("WHY") or ("Error" if code else "Completed"),
            _GONE.message if record.get("WHY") == _GONE.reason else "",
            started_at=began,
            finished_at=finished,
            container_id=f"{self._engine}://{record['ID']}" if record.get("ID") else "",
        )


def _awaits(raw: Mapping[str, Any], kind: str, cared: Record, key: str) -> bool:
    """Say whether the container has such a probe or hook, and it is not passed."""
    return kind in raw.get("care", ()) and not cared.get(key)


_EPOCH = datetime.fromtimestamp(0, timezone.utc)


def _times(began: object, ended: object) -> tuple[datetime | None, datetime | None]:
    """Read start and end; docker notes the start of a very short life a moment after its end."""
    start, end = time(began), time(ended)
    return (min(start, end) if start and end else start), end


def _newest(attempts: Mapping[int, Mapping[str, Any]]) -> Mapping[str, Any]:
    return attempts[max(attempts)] if attempts else {}


def _image_id(seen: Mapping[str, Any]) -> str:
    image = str(seen.get("image") or "")
    return image if not image or ":" in image else f"sha256:{image}"


def _address(sandbox: Mapping[str, Any], host_ip: str) -> str:
    network = sandbox.get("network") or {}
    found = [str(one.get("IPAddress") or "") for one in (network.get("Networks") or {}).values()]
    if "host" in (network.get("Networks") or {}):
        return host_ip
    return next((address for address in [*found, str(network.get("IPAddress") or "")] if address), "")


def _epoch(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), timezone.utc) if seconds.isdigit() and int(seconds) else None
