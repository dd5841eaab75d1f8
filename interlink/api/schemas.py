"""JSON schemas of bodies and answers, as far as a caller must know them."""

from __future__ import annotations

from typing import Any

_STRING, _ANY_OBJECT = {"type": "string"}, {"type": "object"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": items}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_CONTAINER = _object(
    ("name",),
    name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
    image=_STRING,
    command={"type": "array", "items": _STRING},
    args={"type": "array", "items": _STRING},
    env={"type": "array", "items": _object(("name",), name=_STRING, value=_STRING)},
)
_STATUS = _object(
    ("name", "state", "ready", "restartCount"),
    name=_STRING,
    state=_ANY_OBJECT,
    lastState=_ANY_OBJECT,
    ready={"type": "boolean"},
    restartCount={"type": "integer"},
    image=_STRING,
    imageID=_STRING,
)

_NUMBER, _INTEGER = {"type": "number"}, {"type": "integer"}
_CONTAINER_USAGE = _object(("name",), name=_STRING, startedAt=_STRING, cpuSeconds=_NUMBER, memoryBytes=_INTEGER)
_POD_USAGE = _object(
    ("uid", "namespace", "name", "takenAt", "containers"),
    **dict.fromkeys(("uid", "namespace", "name", "takenAt"), _STRING),
    containers={"type": "array", "items": _CONTAINER_USAGE},
)

COMPONENTS: dict[str, Any] = {
    "Pod": _object(
        ("metadata",),
        metadata=_object(
            ("name", "uid"),
            name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
            namespace={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
            uid={"type": "string", "format": "uuid"},
        ),
        spec=_object(("containers",), containers={"type": "array", "items": _ref("Container"), "minItems": 1}),
    ),
    "Container": _CONTAINER,
    "ContainerStatus": _STATUS,
    "PodCreateRequests": _object(
        ("pod",),
        pod=_ref("Pod"),
        configmaps=_list(_ANY_OBJECT),
        secrets=_list(_ANY_OBJECT),
        projectedvolumesmaps=_list(_ANY_OBJECT),
        jobscriptURL={"type": "string", "maxLength": 0},
        envResolved={
            "type": "boolean",
            "default": False,
            "description": "On /v1: values in env are final, no $(NAME) and $$ is expanded. Always so on /create.",
        },
        origin={"type": "string", "description": "On /v1: the cluster that the pod comes from; the record repeats it."},
    ),
    "RetrievedPodData": _object(
        ("pod", "container"), pod=_ref("Pod"), container=_list(_object(name=_STRING)), jobScript=_STRING
    ),
    "CreateStruct": _object(("PodUID", "PodJID"), PodUID=_STRING, PodJID=_STRING),
    "PodStatus": _object(
        ("name", "UID", "namespace"),
        name=_STRING,
        UID=_STRING,
        namespace=_STRING,
        JID=_STRING,
        containers=_list(_ref("ContainerStatus")),
        initContainers=_list(_ref("ContainerStatus")),
    ),
    "PingResponse": _object(
        ("status",), status=_STRING, resources=_ANY_OBJECT, taints={"type": "array", "items": _ANY_OBJECT}
    ),
    "LogStruct": _object(
        ("Namespace", "PodUID"),
        Namespace={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
        PodUID={"type": "string", "format": "uuid"},
        PodName=_STRING,
        ContainerName=_STRING,
        Opts=_object(
            Tail={"type": "integer", "minimum": 0},
            Bytes={"type": "integer", "minimum": 0},
            SinceSeconds={"type": "integer", "minimum": 0},
            Timestamps={"type": "boolean"},
            Follow={"type": "boolean"},
            Previous={"type": "boolean"},
        ),
    ),
    "Volumes": _object(
        ("volumes",),
        volumes={
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": _object(
                    ("data",),
                    mode={"type": "integer", "minimum": 0, "maximum": 511},
                    data={"type": "string", "contentEncoding": "base64"},
                ),
            },
        },
    ),
    "PodRecord": _object(
        ("uid", "namespace", "name", "target", "phase"),
        **dict.fromkeys(
            (
                *("uid", "namespace", "name", "node", "host", "target", "phase", "reason", "message"),
                *("podIP", "hostIP", "origin"),
            ),
            _STRING,
        ),
        containers={"type": "array", "items": _ref("ContainerStatus")},
        initContainers={"type": "array", "items": _ref("ContainerStatus")},
    ),
    "NodeUsage": {
        **_object(
            ("name", "pods"),
            name=_STRING,
            takenAt=_STRING,
            cpuSeconds=_NUMBER,
            memoryBytes=_INTEGER,
            pods={"type": "array", "items": _POD_USAGE},
        ),
        "description": "CPU is a counter in core-seconds, memory the working set; what is not known is left out.",
    },
    "Problem": _object(
        ("type", "title", "status", "detail"),
        **dict.fromkeys(("type", "title", "detail", "requestId", "field", "reason"), _STRING),
        status={"type": "integer"},
    ),
}

BODIES: dict[str, Any] = {
    **{name: _ref(name) for name in COMPONENTS},
    "CreateBody": {"anyOf": [_ref("PodCreateRequests"), _ref("RetrievedPodData")]},
    "CreateAnswer": {"anyOf": [_ref("CreateStruct"), {"type": "array", "items": _ref("CreateStruct")}]},
    "StatusBody": {"anyOf": [{"type": "array", "items": _ref("Pod")}, _ref("Pod")]},
    "StatusAnswer": {"anyOf": [{"type": "array", "items": _ref("PodStatus")}, _ref("PingResponse")]},
    "Items": _object(("items",), items={"type": "array", "items": _ANY_OBJECT}),
    "Deletion": _object(("uid", "target"), uid=_STRING, target=_STRING),
    "Ready": _object(("ok",), ok={"type": "boolean"}),
    "Text": _STRING,
    "Anything": _ANY_OBJECT,
}
