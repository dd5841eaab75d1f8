"""Kubernetes' ContainerStatus as JSON, both directions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from interlink.model.status import ContainerStatus, Kind, Running, State, Terminated, Waiting
from interlink.model.wire import gojson
from interlink.model.wire.schema import boolean, integer, string, struct

_STATE = struct(
    {
        "waiting": struct({"reason": string, "message": string}),
        "running": struct({"startedAt": string}, snake_case=True),
        "terminated": struct(
            {
                "exitCode": integer,
                "signal": integer,
                **dict.fromkeys(("reason", "message", "startedAt", "finishedAt", "containerID"), string),
            },
            snake_case=True,
        ),
    }
)
CONTAINER = struct(
    {
        **dict.fromkeys(("name", "image", "imageID", "containerID", "kind"), string),
        **dict.fromkeys(("ready", "started"), boolean),
        "restartCount": integer,
        "state": _STATE,
        "lastState": _STATE,
    },
    snake_case=True,
)


def container_json(container: ContainerStatus) -> dict[str, Any]:
    """Write one Kubernetes ContainerStatus."""
    result: dict[str, Any] = {
        "name": container.name,
        "state": state_json(container.state),
        "lastState": {} if container.last_state is None else state_json(container.last_state),
        "ready": container.ready,
        "restartCount": int(container.restart_count),
        "image": container.image,
        "imageID": container.image_id,
    }
    if container.container_id:
        result["containerID"] = container.container_id
    if container.started:
        result["started"] = True
    return result


def container(value: Any, kind: Kind, path: str = "") -> ContainerStatus:
    """Read one Kubernetes ContainerStatus."""
    return from_fields(CONTAINER(value, path), kind)


def state_json(state: State) -> dict[str, Any]:
    """Write a ContainerState: exactly one of waiting, running and terminated."""
    match state:
        case Waiting():
            return {"waiting": _given(reason=state.reason, message=state.message)}
        case Running():
            return {"running": {"startedAt": gojson.format_time(state.started_at)}}
    return {
        "terminated": {
            "exitCode": int(state.exit_code),
            **({"signal": int(state.signal)} if state.signal else {}),
            **_given(reason=state.reason, message=state.message),
            "startedAt": gojson.format_time(state.started_at),
            "finishedAt": gojson.format_time(state.finished_at),
            **_given(containerID=state.container_id),
        }
    }


def _given(**texts: str) -> dict[str, str]:
    return {key: text for key, text in texts.items() if text}


def from_fields(fields: dict[str, Any], kind: Kind) -> ContainerStatus:
    """Return the container of a checked object."""
    last = _state(fields.get("lastState", {}))
    return ContainerStatus(
        name=fields.get("name", ""),
        kind=kind,
        image=fields.get("image", ""),
        image_id=fields.get("imageID", ""),
        container_id=fields.get("containerID", ""),
        state=_state(fields.get("state", {})),
        last_state=last if isinstance(last, Terminated) else None,
        ready=fields.get("ready", False),
        started=fields.get("started", False),
        restart_count=fields.get("restartCount", 0),
    )


def _state(fields: dict[str, Any]) -> State:
    if "terminated" in fields:
        ended = fields["terminated"]
        return Terminated(
            exit_code=ended.get("exitCode", 0),
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            signal=ended.get("signal", 0),
            started_at=_moment(ended.get("startedAt")),
            finished_at=_moment(ended.get("finishedAt")),
            container_id=ended.get("containerID", ""),
        )
    if "running" in fields:
        return Running(_moment(fields["running"].get("startedAt")))
    waiting = fields.get("waiting", {})
    return Waiting(waiting.get("reason", ""), waiting.get("message", ""))


def _moment(text: str | None) -> datetime | None:
    """Return a time of somebody else's report; one that cannot be read is not known."""
    try:
        return gojson.parse_time(text) if text else None
    except ValueError:
        return None
