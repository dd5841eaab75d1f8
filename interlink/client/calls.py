"""The calls of both contracts as data: a request, and how its reply is read; for all clients. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from interlink.client import messages
from interlink.client.messages import Reply, Request, json_request, path, session
from interlink.model.driver import Created, HostRecord, LogQuery, NodeRecord, Ping, PodRecord, Volumes
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.model.usage import NodeUsage
from interlink.model.wire import contract, gojson, plugin, statuses, usage, v1

T = TypeVar("T")

LAUNCH_SECONDS = 2  # for which a create waits for its launch, as on /create (decisions.md 5)


def _nothing(_: object) -> None:
    return None


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


@dataclass(frozen=True)
class Confirmation(Call[None]):
    """A call whose status says all; the body of its answer is not read."""

    read: Callable[[Any], None] = _nothing

    def answer(self, reply: Reply, peer: str) -> None:
        messages.checked(reply, self.request, peer, success=self.success)


# /v1


def create(request: PodRequest, *, wait: int = 0) -> Call[PodRecord]:
    """Create a pod on our server; AlreadyDeleted if its UID was deleted there. `wait` in seconds is for its launch."""
    where = path("v1", "pods", request.pod.uid, waitSeconds=wait or None)
    sent = json_request("PUT", where, session("CreatePod"), v1.create_json(request))
    return Call(sent, v1.pod, success=(200, 201))


def delete(uid: str, grace: int | None) -> Call[None]:
    """Delete a pod; the answer must be JSON, so that no other page is taken for a confirmation."""
    where = path("v1", "pods", uid, gracePeriodSeconds=grace)
    return Call(Request("DELETE", where, session("DeletePod"), reads=False), _nothing)


def pod(uid: str) -> Call[PodRecord]:
    return Call(Request("GET", path("v1", "pods", uid), session("GetStatus")), v1.pod)


def pods(*, node: str | None = None, uids: Collection[str] | None = None) -> Call[list[PodRecord]]:
    return _list("pods", v1.pod, node=node, uid=None if uids is None else list(uids))


def nodes() -> Call[list[NodeRecord]]:
    return _list("nodes", v1.node)


def hosts() -> Call[list[HostRecord]]:
    return _list("hosts", v1.host)


def stats(node: str) -> Call[NodeUsage]:
    return Call(Request("GET", path("v1", "nodes", node, "stats"), session("GetStats")), usage.node_usage)


def update(uid: str, volumes: Volumes) -> Confirmation:
    """Replace volumes of a live pod; the answer is an empty 204."""
    where = path("v1", "pods", uid, "volumes")
    sent = json_request("PUT", where, session("UpdateVolumes"), v1.volumes_json(volumes))
    return Confirmation(sent, success=(204,))


def ready() -> Call[Mapping[str, Any]]:
    """Ask whether the server is ready; a 503 says in the same form that and why it is not."""
    request = Request("GET", "/readyz", session("Ready"))
    return Call(request, lambda value: value if isinstance(value, dict) else {"ok": False}, success=(200, 503))


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


def _list(kind: str, read: Callable[[Any], T], **query: object) -> Call[list[T]]:
    request = Request("GET", path("v1", kind, **query), session(f"Get{kind.capitalize()}"))
    return Call(request, lambda value: [read(item) for item in messages.items(value)])


# The existing contract, to any server or plugin


def contract_create(request: PodRequest) -> Call[Created]:
    return _contract_create(request, contract.create_json(request))


def plugin_create(request: PodRequest, *, listed: bool) -> Call[Created]:
    """Create a pod on a plugin; `listed` makes the body a list of one, as plugins before 0.5 want it."""
    body = plugin.retrieved_json(request)
    return _contract_create(request, [body] if listed else body)


def contract_delete(ref: PodRef, grace: int | None, method: str = "DELETE") -> Confirmation:
    """Delete a pod; any text of a 200 confirms it, and a 404 says that it is gone. Plugins want a POST."""
    body = contract.ref_json(ref)
    if grace is not None:
        body = {**body, "metadata": {**body["metadata"], "deletionGracePeriodSeconds": grace}}
    return Confirmation(json_request(method, "/delete", session("DeletePod"), body), success=(200, 404))


def contract_status(refs: Collection[PodRef]) -> Call[list[PodStatus]]:
    request = json_request("GET", "/status", session("GetStatus"), contract.refs_json(refs), reads=True)
    return Call(request, statuses.contract_status)


def contract_log(query: LogQuery) -> Request:
    return json_request("GET", "/getLogs", session("GetLogs"), contract.log_json(query), reads=True)


def log_seconds(query: LogQuery) -> float | None:
    """Return how long a log's answer may take to begin: servers in Go send nothing before the first line."""
    return None if query.follow else messages.ANSWER_SECONDS


def ping() -> Call[Ping]:
    return Call(Request("POST", "/pinglink", session("PingInterLink")), contract.ping)


def plugin_ping() -> Call[Ping]:
    """Ask a plugin for the status of no pod, which is how it is pinged."""
    return Call(json_request("GET", "/status", session("PingInterLink"), [], reads=True), contract.ping)


def _contract_create(request: PodRequest, body: Any) -> Call[Created]:
    sent = json_request("POST", "/create", session("CreatePod"), body, again=False)
    return Call(sent, lambda value: replace(contract.created(value), uid=request.pod.uid))


def kinded(status: PodStatus, pod: Pod) -> PodStatus:
    """Tell native sidecars from init containers by the manifest: the contract does not."""
    kinds = {container.name: container.kind for container in pod.containers}
    return replace(
        status, containers=tuple(replace(item, kind=kinds.get(item.name, item.kind)) for item in status.containers)
    )
