"""What a node has used, on `/v1/nodes/{name}/stats`; what is not known is left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from interlink.errors import InvalidPod
from interlink.model.usage import ContainerUsage, NodeUsage, PodUsage
from interlink.model.wire import gojson
from interlink.model.wire.schema import integer, list_of, string, struct


def _seconds(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidPod("must be a number", field=path)
    return float(value)


_FIGURES = {"cpuSeconds": _seconds, "memoryBytes": integer}
_CONTAINER = struct({"name": string, "startedAt": string, **_FIGURES})
_POD = struct(
    {**dict.fromkeys(("uid", "namespace", "name", "takenAt"), string), "containers": list_of(_CONTAINER)},
)
_NODE = struct({"name": string, "takenAt": string, **_FIGURES, "pods": list_of(_POD)})


def node_usage_json(usage: NodeUsage) -> dict[str, Any]:
    """Write what a node has used."""
    return {
        "name": usage.name,
        **_known(
            takenAt=gojson.format_precise(usage.taken_at),
            cpuSeconds=usage.cpu_seconds,
            memoryBytes=usage.memory_bytes,
        ),
        "pods": [_pod_json(pod) for pod in usage.pods],
    }


def node_usage(value: Any) -> NodeUsage:
    """Read what a node has used."""
    fields = _NODE(value, "")
    return NodeUsage(
        fields.get("name", ""),
        _moment(fields, "takenAt"),
        fields.get("cpuSeconds"),
        fields.get("memoryBytes"),
        tuple(_pod(item) for item in fields.get("pods", ())),
    )


def _pod_json(pod: PodUsage) -> dict[str, Any]:
    return {
        "uid": pod.uid,
        "namespace": pod.namespace,
        "name": pod.name,
        "takenAt": gojson.format_precise(pod.taken_at),
        "containers": [_container_json(item) for item in pod.containers],
    }


def _container_json(container: ContainerUsage) -> dict[str, Any]:
    return {
        "name": container.name,
        **_known(
            startedAt=gojson.format_precise(container.started_at),
            cpuSeconds=container.cpu_seconds,
            memoryBytes=container.memory_bytes,
        ),
    }


def _pod(fields: Mapping[str, Any]) -> PodUsage:
    taken_at = _moment(fields, "takenAt")
    if taken_at is None:
        raise InvalidPod("is missing", field="takenAt")
    uid, namespace, name = (fields.get(key, "") for key in ("uid", "namespace", "name"))
    return PodUsage(uid, namespace, name, taken_at, tuple(_container(item) for item in fields.get("containers", ())))


def _container(fields: Mapping[str, Any]) -> ContainerUsage:
    return ContainerUsage(
        fields.get("name", ""), fields.get("cpuSeconds"), fields.get("memoryBytes"), _moment(fields, "startedAt")
    )


def _known(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _moment(fields: Mapping[str, Any], key: str) -> datetime | None:
    text = fields.get(key, "")
    try:
        return gojson.parse_time(text) if text else None
    except ValueError as error:
        raise InvalidPod(str(error), field=key) from None
