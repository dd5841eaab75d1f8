"""Statuses as JSON in a column, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, State, Terminated, Waiting

_STATES: Mapping[str, type[State]] = {"waiting": Waiting, "running": Running, "terminated": Terminated}
_NAMES = {kind: name for name, kind in _STATES.items()}


def dump_status(status: PodStatus) -> dict[str, Any]:
    """Return a status as JSON-ready data; `load_status` gives it back unchanged."""
    flat = {**_dump(status), "phase": status.phase.value}
    return {**flat, "containers": [_dump_container(c) for c in status.containers]}


def load_status(data: Mapping[str, Any]) -> PodStatus:
    """Return the status that `dump_status` wrote; keys of a later version are ignored."""
    known = _load(PodStatus, data)
    known["phase"] = Phase(data["phase"])
    known["containers"] = tuple(_load_container(c) for c in data.get("containers") or ())
    return PodStatus(**known)


def _dump_container(status: ContainerStatus) -> dict[str, Any]:
    last = status.last_state
    return {
        **_dump(status),
        "kind": status.kind.value,
        "state": _dump_state(status.state),
        "last_state": _dump_state(last) if last else None,
    }


def _load_container(data: Mapping[str, Any]) -> ContainerStatus:
    known = _load(ContainerStatus, data)
    known["kind"] = Kind(data["kind"])
    known["state"] = _load_state(data["state"])
    known["last_state"] = _load_state(data["last_state"]) if data.get("last_state") else None
    return ContainerStatus(**known)


def _dump_state(state: State) -> dict[str, Any]:
    return {"is": _NAMES[type(state)], **_dump(state)}


def _load_state(data: Mapping[str, Any]) -> Any:
    kind = _STATES[data["is"]]
    return kind(**_load(kind, data))


def _dump(value: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _load(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: _typed(f.name, data[f.name]) for f in fields(kind) if f.name in data}


def _typed(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name.endswith("_at") and value else value
