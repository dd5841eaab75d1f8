"""The `/v1` surface (decisions.md 11): pods, nodes, hosts, volumes and the lines of a watch."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

from interlink.errors import InvalidPod
from interlink.model.driver import Change, HostRecord, NodeRecord, PodEvent, PodRecord, VolumeFile, Volumes
from interlink.model.pod import PodRequest
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus
from interlink.model.wire import containers, contract, gojson
from interlink.model.wire.schema import (
    anything,
    base64_data,
    boolean,
    integer,
    list_of,
    map_of,
    string,
    struct,
)

_POD = struct(
    {
        **dict.fromkeys(
            (
                *("uid", "namespace", "name", "node", "host", "target", "restartPolicy", "jid", "phase"),
                *("reason", "message", "podIP", "hostIP", "startedAt", "observedAt", "origin"),
            ),
            string,
        ),
        "gone": boolean,
        **dict.fromkeys(("containers", "initContainers"), list_of(containers.CONTAINER)),
    }
)
_TAINTS = list_of(struct({"key": string, "value": string, "effect": string}))
_NODE = struct(
    {
        "name": string,
        **dict.fromkeys(("capacity", "allocatable", "labels"), map_of(string)),
        "taints": _TAINTS,
        "conditions": list_of(map_of(anything)),
    }
)
_HOST = struct(
    {
        **dict.fromkeys(("name", "driver", "reason"), string),
        "groups": list_of(string),
        "reachable": boolean,
        **dict.fromkeys(("facts", "load"), map_of(anything)),
    }
)
_EVENT = struct(dict.fromkeys(("uid", "reason", "message", "time", "type", "container"), string))
_CHANGE = struct({"seq": integer, "type": string, "object": anything})
_FILE = struct({"mode": integer, "data": base64_data})
_VOLUMES = struct({"volumes": map_of(map_of(_FILE))})


def create_json(request: PodRequest) -> dict[str, Any]:
    """Write the body of a create: PodCreateRequests, whether env is resolved already, and where it comes from."""
    return {**contract.create_json(request), "envResolved": request.resolved, "origin": request.origin}


def pod_json(pod: PodRecord) -> dict[str, Any]:
    """Write what was asked and what was observed of a pod."""
    status = pod.status
    return {
        "uid": pod.uid,
        "namespace": pod.namespace,
        "name": pod.name,
        "node": pod.node,
        "host": pod.host,
        "target": pod.target,
        "gone": pod.gone,
        "restartPolicy": pod.restart_policy,
        "origin": pod.origin,
        "jid": status.jid,
        "phase": status.phase.value,
        "reason": status.reason,
        "message": status.message,
        "podIP": status.pod_ip,
        "hostIP": status.host_ip,
        "startedAt": gojson.format_time(status.started_at),
        "observedAt": gojson.format_precise(status.observed_at),
        "containers": [containers.container_json(item) for item in status.mains],
        "initContainers": [_init_json(item) for item in status.inits],
    }


def pod(value: Any) -> PodRecord:
    """Read a pod."""
    fields = _POD(value, "")
    uid, namespace, name = (fields.get(key, "") for key in ("uid", "namespace", "name"))
    status = PodStatus(
        uid=uid,
        namespace=namespace,
        name=name,
        jid=fields.get("jid", ""),
        phase=_phase(fields.get("phase", "")),
        reason=fields.get("reason", ""),
        message=fields.get("message", ""),
        containers=(
            *(_init(item) for item in fields.get("initContainers", ())),
            *(containers.from_fields(item, Kind.MAIN) for item in fields.get("containers", ())),
        ),
        pod_ip=fields.get("podIP", ""),
        host_ip=fields.get("hostIP", ""),
        started_at=_moment(fields, "startedAt"),
        observed_at=_moment(fields, "observedAt"),
    )
    target: Literal["run", "deleted"] = "deleted" if fields.get("target") == "deleted" else "run"
    return PodRecord(
        uid=uid,
        namespace=namespace,
        name=name,
        node=fields.get("node", ""),
        host=fields.get("host", ""),
        target=target,
        status=status,
        restart_policy=fields.get("restartPolicy", "Always"),
        gone=fields.get("gone", False),
        origin=fields.get("origin", ""),
    )


def node_json(node: NodeRecord) -> dict[str, Any]:
    """Write a virtual node."""
    return {
        "name": node.name,
        "capacity": dict(node.capacity),
        "allocatable": dict(node.allocatable),
        "labels": dict(node.labels),
        "taints": [contract.taint_json(taint) for taint in node.taints],
        "conditions": [dict(condition) for condition in node.conditions],
    }


def node(value: Any) -> NodeRecord:
    """Read a virtual node."""
    fields = _NODE(value, "")
    return NodeRecord(
        name=fields.get("name", ""),
        capacity=fields.get("capacity", {}),
        allocatable=fields.get("allocatable", {}),
        labels=fields.get("labels", {}),
        taints=tuple(contract.taint(item) for item in fields.get("taints", ())),
        conditions=tuple(fields.get("conditions", ())),
    )


def host_json(host: HostRecord) -> dict[str, Any]:
    """Write a host."""
    return {
        "name": host.name,
        "groups": list(host.groups),
        "driver": host.driver,
        "reachable": host.reachable,
        "reason": host.reason,
        "facts": dict(host.facts),
        "load": dict(host.load),
    }


def host(value: Any) -> HostRecord:
    """Read a host."""
    fields = _HOST(value, "")
    return HostRecord(
        name=fields.get("name", ""),
        groups=tuple(fields.get("groups", ())),
        driver=fields.get("driver", ""),
        reachable=fields.get("reachable", False),
        reason=fields.get("reason", ""),
        facts=fields.get("facts", {}),
        load=fields.get("load", {}),
    )


def change_line(change: Change) -> bytes:
    """Write one line of a watch."""
    line = {"seq": change.seq, "type": change.type, "object": _object_json(change.object)}
    return gojson.encode(line) + b"\n"


def change(value: Any) -> Change:
    """Read what one line of a watch holds."""
    fields = _CHANGE(value, "")
    kind = fields.get("type", "")
    readers: dict[str, Callable[[Any], Any]] = {"pod": pod, "node": node, "event": event, "bookmark": _nothing}
    if kind not in readers:
        raise InvalidPod("must be pod, node, event or bookmark", field="type")
    return Change(fields.get("seq", 0), kind, readers[kind](fields.get("object")))


def event_json(event: PodEvent) -> dict[str, Any]:
    """Write what a driver saw of a container."""
    return {
        "uid": event.uid,
        "container": event.container,
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "time": gojson.format_precise(event.time),
    }


def event(value: Any) -> PodEvent:
    """Read what a driver saw of a container."""
    fields = _EVENT(value, "")
    moment = _moment(fields, "time")
    if moment is None:
        raise InvalidPod("is missing", field="time")
    return PodEvent(
        uid=fields.get("uid", ""),
        reason=fields.get("reason", ""),
        message=fields.get("message", ""),
        time=moment,
        type="Warning" if fields.get("type") == "Warning" else "Normal",
        container=fields.get("container", ""),
    )


def volumes_json(volumes: Volumes) -> dict[str, Any]:
    """Write the files of volumes, complete per volume."""
    return {"volumes": {name: {file.path: _file_json(file) for file in files} for name, files in volumes.items()}}


def volumes(value: Any) -> dict[str, Sequence[VolumeFile]]:
    """Read the files of volumes; paths stay inside their volume, modes are plain permission bits."""
    fields = _VOLUMES(value, "")
    if "volumes" not in fields:
        raise InvalidPod("is missing", field="volumes")
    return {
        name: [_file(path, item, f"volumes[{name!r}][{path!r}]") for path, item in files.items()]
        for name, files in fields["volumes"].items()
    }


def _object_json(item: Any) -> Any:
    match item:
        case PodRecord():
            return pod_json(item)
        case NodeRecord():
            return node_json(item)
        case PodEvent():
            return event_json(item)
    return None


def _nothing(value: Any) -> None:
    return None


def _init_json(init: ContainerStatus) -> dict[str, Any]:
    # Kubernetes' ContainerStatus does not tell a native sidecar from an init container.
    return {**containers.container_json(init), "kind": init.kind.value}


def _init(fields: dict[str, Any]) -> ContainerStatus:
    return containers.from_fields(fields, Kind.SIDECAR if fields.get("kind") == Kind.SIDECAR.value else Kind.INIT)


def _phase(text: str) -> Phase:
    return Phase(text) if text in {phase.value for phase in Phase} else Phase.UNKNOWN


def _moment(fields: Mapping[str, Any], key: str) -> datetime | None:
    text = cast("str", fields.get(key, ""))
    try:
        return gojson.parse_time(text) if text else None
    except ValueError as error:
        raise InvalidPod(str(error), field=key) from None


def _file_json(file: VolumeFile) -> dict[str, Any]:
    return {"mode": file.mode, "data": base64.b64encode(file.data).decode()}


def _file(path: str, fields: Mapping[str, Any], field: str) -> VolumeFile:
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise InvalidPod("must be a relative path without '.' and '..'", field=field)
    mode = fields.get("mode", 0o644)
    if not 0 <= mode <= 0o777:
        raise InvalidPod("must be permission bits, 0 to 511", field=f"{field}.mode")
    return VolumeFile(path, mode, base64.b64decode(fields.get("data", "")))
