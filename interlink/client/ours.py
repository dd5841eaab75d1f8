"""The client of our own server: a Composition over `/v1`."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from interlink.client import messages
from interlink.client.messages import Request, json_request, path
from interlink.client.transport import ReplyStream, Transport
from interlink.model.driver import (
    Change,
    ChangeFeed,
    Created,
    HostRecord,
    LogQuery,
    LogStream,
    NodeRecord,
    Ping,
    PodRecord,
    Volumes,
)
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.model.usage import NodeUsage
from interlink.model.wire import contract, gojson, usage, v1
from interlink.model.wire.problems import AlreadyDeleted

T = TypeVar("T")

WATCH_SILENCE_SECONDS = 40.0  # a bookmark comes every ten
_NAMED = 100  # pods to ask for by UID; of more, all are asked for


class Client:
    """Our server at an http://, https:// or unix:// URL; thread-safe.

    Every call is idempotent there, so one whose connection broke is sent once more.
    """

    def __init__(self, url: str, *, token_file: Path | None = None, ca_file: Path | None = None) -> None:
        self._transport = Transport(url, token_file, ca_file)

    def close(self) -> None:
        """Close all connections; streams end when they are closed themselves."""
        self._transport.close()

    def create(self, request: PodRequest) -> Created:
        uid = request.pod.uid
        body = v1.create_json(request)
        sent = json_request("PUT", path("v1", "pods", uid), session("CreatePod"), body)
        try:
            status, record = self._ask(sent, v1.pod, success=(200, 201))
        except AlreadyDeleted:
            return Created(uid, uid, "deleted")
        return Created(uid, record.status.jid or uid, "new" if status == 201 else "existing")

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        where = path("v1", "pods", pod.uid, gracePeriodSeconds=grace)
        self._ask(Request("DELETE", where, session("DeletePod"), reads=False), _as_it_is)
        return None

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        if pods is None:
            return [record.status for record in self.pods()]
        if not pods:
            return []
        uids = [pod.uid for pod in pods]
        known = {record.uid: record.status for record in self._pods(uid=uids if len(uids) <= _NAMED else None)}
        return [known[uid] for uid in uids if uid in known]

    def logs(self, query: LogQuery) -> LogStream:
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
        return self._transport.open(Request("GET", where, session("GetLogs")))

    def ping(self) -> Ping:
        return self._ask(Request("POST", "/pinglink", session("PingInterLink")), contract.ping)[1]

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        where = path("v1", "pods", pod.uid, "volumes")
        request = json_request("PUT", where, session("UpdateVolumes"), v1.volumes_json(volumes))
        messages.checked(self._transport.call(request), request, self._transport.peer, success=(204,))

    def pods(self, node: str | None = None) -> list[PodRecord]:
        return self._pods(node=node)

    def pod(self, uid: str) -> PodRecord:
        return self._ask(Request("GET", path("v1", "pods", uid), session("GetStatus")), v1.pod)[1]

    def nodes(self) -> list[NodeRecord]:
        return self._items("nodes", v1.node)

    def hosts(self) -> list[HostRecord]:
        return self._items("hosts", v1.host)

    def stats(self, node: str) -> NodeUsage:
        request = Request("GET", path("v1", "nodes", node, "stats"), session("GetStats"))
        return self._ask(request, usage.node_usage)[1]

    def watch(self, since: int | None = None) -> ChangeFeed:
        request = Request("GET", path("v1", "watch", since=since), session("Watch"))
        stream = self._transport.open(request, silence_seconds=WATCH_SILENCE_SECONDS)
        return _Changes(stream, request, self._transport.peer)

    def ready(self) -> Mapping[str, Any]:
        value = self._ask(Request("GET", "/readyz", session("Ready")), _as_it_is, success=(200, 503))[1]
        return value if isinstance(value, dict) else {"ok": False}

    def _pods(self, **query: object) -> list[PodRecord]:
        return self._items("pods", v1.pod, **query)

    def _items(self, kind: str, read: Callable[[Any], T], **query: object) -> list[T]:
        request = Request("GET", path("v1", kind, **query), session(f"Get{kind.capitalize()}"))
        return self._ask(request, lambda value: [read(item) for item in messages.items(value)])[1]

    def _ask(self, request: Request, read: Callable[[Any], T], *, success: tuple[int, ...] = (200,)) -> tuple[int, T]:
        peer = self._transport.peer
        reply = messages.checked(self._transport.call(request), request, peer, success=success)
        return reply.status, messages.understood(reply.body, read, request, peer)


class _Changes:
    """The lines of a watch as changes."""

    def __init__(self, stream: ReplyStream, request: Request, peer: str) -> None:
        self._stream, self._request, self._peer = stream, request, peer

    def __iter__(self) -> Iterator[Change]:
        for line in messages.split_lines(self._stream):
            yield messages.understood(line, v1.change, self._request, self._peer)

    def close(self) -> None:
        self._stream.close()


def _as_it_is(value: Any) -> Any:
    return value


def session(verb: str) -> str:
    """Return a request's id in the form that the Go components use."""
    return f"{verb}#{random.randrange(100_000)}"  # noqa: S311  (it only has to be recognised in a log)
