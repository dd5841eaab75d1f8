"""The existing contract between virtual kubelet and server: six calls, both directions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from interlink.errors import InputError, InvalidPod, Unsupported
from interlink.model.driver import Created, LogQuery, Ping, Taint
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.wire import gojson, identity
from interlink.model.wire.kubernetes import CONFIG_MAP, SECRET
from interlink.model.wire.schema import anything, boolean, integer, list_of, string, struct, time

_CREATE = struct(
    {
        "pod": anything,  # checked by `identity`, with paths that begin in the pod
        "configmaps": list_of(CONFIG_MAP),
        "secrets": list_of(SECRET),
        "projectedvolumesmaps": list_of(CONFIG_MAP),
        "jobscriptURL": string,
        "envResolved": boolean,  # these two are ours, on /v1 alone
        "origin": string,
    }
)
_CREATED = struct({"PodUID": anything, "PodJID": anything}, snake_case=True)
_OPTS = struct(
    {
        **dict.fromkeys(("Tail", "LimitBytes", "Bytes", "SinceSeconds"), integer),
        **dict.fromkeys(("Timestamps", "Follow", "Previous"), boolean),
        "SinceTime": time,
    }
)
_LOG = struct(
    {**dict.fromkeys(("Namespace", "PodUID", "PodName", "ContainerName"), string), "Opts": _OPTS},
)
_PING = struct(
    {
        "status": string,
        "resources": struct(
            {
                **dict.fromkeys(("cpu", "memory", "pods"), string),
                "accelerators": list_of(struct({"resourceType": string, "available": string}, snake_case=True)),
            }
        ),
        "taints": list_of(struct({"key": string, "value": string, "effect": string})),
    }
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLAIN = ("cpu", "memory", "pods")
UPDATED = "Updated cache"


def create_request(value: Any) -> PodRequest:
    """Read PodCreateRequests; InvalidPod names the first wrong field."""
    fields = _CREATE(value, "")
    pod = identity.runnable(fields.get("pod"), "")
    if fields.get("jobscriptURL"):
        raise Unsupported("fetching job scripts is not supported", field="jobscriptURL")
    return PodRequest(
        pod,
        configmaps=tuple(fields.get("configmaps", ())),
        secrets=tuple(fields.get("secrets", ())),
        projected=tuple(fields.get("projectedvolumesmaps", ())),
        resolved=fields.get("envResolved", False),
        origin=fields.get("origin", ""),
    )


def create_json(request: PodRequest) -> dict[str, Any]:
    """Write PodCreateRequests; empty lists are null, as Go writes them."""
    return {
        "pod": request.pod.raw,
        "configmaps": list(request.configmaps) or None,
        "secrets": list(request.secrets) or None,
        "projectedvolumesmaps": list(request.projected) or None,
        "jobscriptURL": "",
    }


def created_json(created: Created) -> dict[str, Any]:
    """Write CreateStruct: two strings."""
    return {"PodUID": created.uid, "PodJID": created.jid}


def created(value: Any) -> Created:
    """Read CreateStruct, bare or in a list of one; InvalidPod if the pod's UID is missing."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    fields = _CREATED(value, "")
    uid, jid = (fields.get(key) for key in ("PodUID", "PodJID"))
    if not isinstance(uid, str) or not uid:
        raise InvalidPod("is missing in the answer to a create", field="PodUID")
    return Created(uid, uid if jid in (None, "") else str(jid))


def pod_ref(value: Any) -> PodRef:
    """Read the pod of /delete."""
    return PodRef.of(identity.identified(value, ""))


def pod_refs(value: Any) -> list[PodRef] | None:
    """Read the pods of /status, a list or a bare pod; None for `null` and `[]`, which ask for all."""
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        return [pod_ref(value)]
    if not isinstance(value, list):
        raise InvalidPod("must be a list of pods", field="the body")
    return [PodRef.of(identity.identified(item, f"[{index}]")) for index, item in enumerate(value)]


def grace_of(pod: Pod) -> int | None:
    """Return the grace period that a deleted pod carries, in seconds; None if it says nothing."""
    value = pod.metadata.get("deletionGracePeriodSeconds")
    return None if value is None else max(0, int(value))


def ref_json(pod: PodRef) -> Mapping[str, Any]:
    """Write a pod for /delete and /status: the whole manifest if the caller has one, else its identity."""
    if pod.raw:
        return pod.raw
    metadata = {"name": pod.name, "namespace": pod.namespace or "default", "uid": pod.uid}
    return {"metadata": metadata, "spec": {"containers": None}, "status": {}}


def refs_json(pods: Collection[PodRef]) -> list[Mapping[str, Any]]:
    """Write the pods of /status."""
    return [ref_json(pod) for pod in pods]


def cached_uid(body: bytes) -> str:
    """Read /updateCache: a pod, or its bare UID with or without quotes."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        return pod_ref(gojson.decode(body)).uid
    return pod_ref({"metadata": {"uid": text.strip('"')}}).uid


def log_query(value: Any) -> LogQuery:
    """Read LogStruct with the Go server's checks and texts, in its order; 0 means "not given"."""
    try:
        fields = _LOG(value, "")
    except InvalidPod:
        raise InputError("invalid request body") from None
    namespace, uid, container = (fields.get(key, "") for key in ("Namespace", "PodUID", "ContainerName"))
    opts: dict[str, Any] = fields.get("Opts", {})
    tail, since = opts.get("Tail", 0), opts.get("SinceSeconds", 0)
    limit = opts.get("LimitBytes") or opts.get("Bytes", 0)
    since_time = gojson.parse_time(opts.get("SinceTime", gojson.ZERO_TIME))
    checks = (
        (identity.is_label(namespace), "invalid namespace: must be a valid DNS label"),
        (_UUID.fullmatch(uid), "invalid pod UID: must be a valid UUID"),
        (not container or identity.is_label(container), "invalid container name: must be a valid DNS label"),
        (not (tail and limit), "Both Tail and LimitBytes set. Set only one of them"),
        (not (since and since_time), "Both SinceSeconds and SinceTime set. Set only one of them"),
        (min(tail, limit, since) >= 0, "Tail, Bytes and SinceSeconds must not be negative"),
    )
    for passed, text in checks:
        if not passed:
            raise InputError(text)
    return LogQuery(
        PodRef(uid, namespace, fields.get("PodName", "")),
        container=container,
        tail=tail or None,
        limit_bytes=limit or None,
        since_seconds=since or None,
        since_time=since_time,
        timestamps=opts.get("Timestamps", False),
        follow=opts.get("Follow", False),
        previous=opts.get("Previous", False),
    )


def log_json(query: LogQuery) -> dict[str, Any]:
    """Write LogStruct. `tail == 0` cannot be said on this contract: the caller answers it itself."""
    return {
        "Namespace": query.pod.namespace or "default",
        "PodUID": query.pod.uid,
        "PodName": query.pod.name,
        "ContainerName": query.container,
        "Opts": {
            "Tail": query.tail or 0,
            "Bytes": query.limit_bytes or 0,
            "Timestamps": query.timestamps,
            "Follow": query.follow,
            "Previous": query.previous,
            "SinceSeconds": query.since_seconds or 0,
            "SinceTime": gojson.format_precise(query.since_time) or gojson.ZERO_TIME,
        },
    }


def ping_json(ping: Ping) -> dict[str, Any]:
    """Write PingResponse. Quantities are strings; what carries a domain is an accelerator, storage is not said."""
    result: dict[str, Any] = {"status": ping.status}
    if ping.resources:
        resources: dict[str, Any] = {key: str(ping.resources[key]) for key in _PLAIN if key in ping.resources}
        others = [(key, value) for key, value in ping.resources.items() if "/" in key]
        if others:
            resources["accelerators"] = [{"resourceType": key, "available": str(value)} for key, value in others]
        result["resources"] = resources
    if ping.taints is not None:
        result["taints"] = [taint_json(taint) for taint in ping.taints]
    return result


def ping(value: Any) -> Ping:
    """Read a ping's answer; whatever is no PingResponse says only that somebody is there."""
    try:
        fields = _PING(value, "")
    except InvalidPod:
        return Ping()
    resources = fields.get("resources", {})
    offered = {key: resources[key] for key in _PLAIN if key in resources}
    offered |= {item["resourceType"]: item.get("available", "0") for item in _typed_items(resources)}
    taints = fields.get("taints")
    return Ping(
        status=fields.get("status", "ok"),
        resources=offered,
        taints=None if taints is None else tuple(taint(item) for item in taints),
    )


def taint_json(taint: Taint) -> dict[str, str]:
    """Write a taint; an empty value is left out."""
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, **value, "effect": taint.effect}


def taint(fields: Mapping[str, Any]) -> Taint:
    """Read a taint."""
    return Taint(fields.get("key", ""), fields.get("value", ""), fields.get("effect", "NoSchedule"))


def _typed_items(resources: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [item for item in resources.get("accelerators", ()) if item.get("resourceType")]
