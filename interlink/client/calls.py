"""The calls of both contracts as data: a request, and how its reply is read; for the asyncio clients. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from interlink.client import messages
from interlink.client.messages import Reply, Request, json_request, path
from interlink.client.ours import session
from interlink.model.driver import Created, LogQuery, NodeRecord, Ping, PodRecord, Volumes
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.model.usage import NodeUsage
from interlink.model.wire import contract, gojson, statuses, usage, v1

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call and what its answer means; `success` are the statuses that carry an answer."""

    request: Request
    read: Callable[[Any], T]
    success: tuple[int, ...] = (200,)

    def answer(self, reply: Reply, peer: str) -> T:
        """Return what the reply says; raise the error that it means."""
        messages.checked(reply, self.request, peer, success=self.success)
        return messages.understood(reply.body, self.read, self.request, peer)


# /v1


def create(request: PodRequest) -> Call[PodRecord]:
    """Create a pod on our server; AlreadyDeleted if its UID was deleted there."""
    sent = json_request("PUT", path("v1", "pods", request.pod.uid), session("CreatePod"), v1.create_json(request))
    return Call(sent, v1.pod, success=(200, 201))


def delete(uid: str, grace: int | None) -> Call[Any]:
    where = path("v1", "pods", uid, gracePeriodSeconds=grace)
    return Call(Request("DELETE", where, session("DeletePod"), reads=False), _as_it_is)


def pod(uid: str) -> Call[PodRecord]:
    return Call(Request("GET", path("v1", "pods", uid), session("GetStatus")), v1.pod)


def nodes() -> Call[list[NodeRecord]]:
    request = Request("GET", path("v1", "nodes"), session("GetNodes"))
    return Call(request, lambda value: [v1.node(item) for item in messages.items(value)])


def stats(node: str) -> Call[NodeUsage]:
    return Call(Request("GET", path("v1", "nodes", node, "stats"), session("GetStats")), usage.node_usage)


def update(uid: str, volumes: Volumes) -> Request:
    """Replace volumes of a live pod; the answer is an empty 204."""
    return json_request("PUT", path("v1", "pods", uid, "volumes"), session("UpdateVolumes"), v1.volumes_json(volumes))


def watch(since: int | None) -> Request:
    return Request("GET", path("v1", "watch", since=since), session("Watch"))


def log(query: LogQuery) -> Request:
    where = path(
        *("v1", "pods", query.pod.uid, "log"),
        container=query.container or None,
        tailLines=query.tail,
        limitBytes=query.limit_bytes,
        sinceSeconds=query.since_seconds,
        sinceTime=gojson.format_precise(query.since_time),
        timestamps=query.timestamps,
        follow=query.follow,
        previous=query.previous,
        attempt=query.attempt,
    )
    return Request("GET", where, session("GetLogs"))


# The existing contract, from the virtual kubelet to any server


def contract_create(request: PodRequest) -> Call[Created]:
    sent = json_request("POST", "/create", session("CreatePod"), contract.create_json(request), again=False)
    return Call(sent, lambda value: replace(contract.created(value), uid=request.pod.uid))


def contract_delete(ref: PodRef, grace: int | None) -> Request:
    """Delete a pod; any text of a 200 confirms it, and a 404 says that it is gone."""
    body = contract.ref_json(ref)
    if grace is not None:
        body = {**body, "metadata": {**body["metadata"], "deletionGracePeriodSeconds": grace}}
    return json_request("DELETE", "/delete", session("DeletePod"), body)


def contract_status(refs: Collection[PodRef]) -> Call[list[PodStatus]]:
    request = json_request("GET", "/status", session("GetStatus"), contract.refs_json(refs), reads=True)
    return Call(request, statuses.contract_status)


def contract_log(query: LogQuery) -> Request:
    return json_request("GET", "/getLogs", session("GetLogs"), contract.log_json(query), reads=True)


def ping() -> Call[Ping]:
    return Call(Request("POST", "/pinglink", session("PingInterLink")), contract.ping)


def kinded(status: PodStatus, pod: Pod) -> PodStatus:
    """Tell native sidecars from init containers by the manifest: the contract does not."""
    kinds = {container.name: container.kind for container in pod.containers}
    return replace(
        status, containers=tuple(replace(item, kind=kinds.get(item.name, item.kind)) for item in status.containers)
    )


def _as_it_is(value: Any) -> Any:
    return value
