"""The client of our own server: a Composition over `/v1`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from interlink.client import calls, messages
from interlink.client.messages import Request
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
from interlink.model.wire import v1
from interlink.model.wire.problems import AlreadyDeleted

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

    def is_ours(self) -> bool:
        """Say whether a server with `/v1` is there; any other interLink answers 404."""
        return self._transport.send(calls.hosts().request).status != HTTPStatus.NOT_FOUND

    def create(self, request: PodRequest) -> Created:
        return self.accept(request, calls.LAUNCH_SECONDS)

    def accept(self, request: PodRequest, wait: float = 0.0) -> Created:
        uid, call = request.pod.uid, calls.create(request, wait=math.ceil(wait))
        reply = self._transport.send(call.request)
        try:
            record = call.answer(reply, self._transport.peer)
        except AlreadyDeleted:
            return Created(uid, uid, "deleted")
        return Created(uid, record.status.jid or uid, "new" if reply.status == 201 else "existing")

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        self._transport.ask(calls.delete(pod.uid, grace))
        return None

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        if pods is None:
            return [record.status for record in self.pods()]
        if not pods:
            return []
        uids = [pod.uid for pod in pods]
        found = self._transport.ask(calls.pods(uids=uids if len(uids) <= _NAMED else None))
        known = {record.uid: record.status for record in found}
        return [known[uid] for uid in uids if uid in known]

    def logs(self, query: LogQuery) -> LogStream:
        return self._transport.open(calls.log(query))

    def ping(self) -> Ping:
        return self._transport.ask(calls.ping())

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        self._transport.ask(calls.update(pod.uid, volumes))

    def pods(self, node: str | None = None) -> list[PodRecord]:
        return self._transport.ask(calls.pods(node=node))

    def pod(self, uid: str) -> PodRecord:
        return self._transport.ask(calls.pod(uid))

    def nodes(self) -> list[NodeRecord]:
        return self._transport.ask(calls.nodes())

    def hosts(self) -> list[HostRecord]:
        return self._transport.ask(calls.hosts())

    def stats(self, node: str) -> NodeUsage:
        return self._transport.ask(calls.stats(node))

    def watch(self, since: int | None = None) -> ChangeFeed:
        request = calls.watch(since)
        stream = self._transport.open(request, silence_seconds=WATCH_SILENCE_SECONDS)
        return _Changes(stream, request, self._transport.peer)

    def ready(self) -> Mapping[str, Any]:
        return self._transport.ask(calls.ready())


class _Changes:
    """The lines of a watch as changes."""

    def __init__(self, stream: ReplyStream, request: Request, peer: str) -> None:
        self._stream, self._request, self._peer = stream, request, peer

    def __iter__(self) -> Iterator[Change]:
        for line in messages.split_lines(self._stream):
            yield messages.understood(line, v1.change, self._request, self._peer)

    def close(self) -> None:
        self._stream.close()
