"""The client of any interLink server or plugin: the six calls of the existing contract."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from interlink.client import messages
from interlink.client.messages import Request, json_request
from interlink.client.ours import session
from interlink.client.transport import Transport
from interlink.errors import HostUnreachable, InterlinkError, OutcomeUnknown, Unavailable, Unsupported
from interlink.model.driver import Created, LogQuery, LogStream, Ping, Volumes
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.model.wire import contract, plugin, statuses

Peer = Literal["server", "plugin"]


class ContractClient:
    """A Driver over somebody else's server or plugin; thread-safe.

    Peers are not idempotent: after a create whose outcome is unknown, the next one of that UID asks for
    its status before it sends anything. Missing pods in a report are unknown, never gone.
    The contract's env is resolved (`PodRequest.resolved`): whoever sends other values has them taken literally.
    `listed` makes a plugin's create body a list of one, as plugins before 0.5 want it.
    """

    def __init__(
        self,
        url: str,
        peer: Peer = "server",
        *,
        listed: bool = False,
        token_file: Path | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._transport = Transport(url, token_file, ca_file)
        self._peer, self._listed = peer, listed
        self._lock = threading.Lock()
        self._uncertain: set[str] = set()
        self._singly = False

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def create(self, request: PodRequest) -> Created:
        ref = PodRef.of(request.pod)
        if self._is_uncertain(ref.uid) and (known := self._found(ref)):
            return known
        self._doubt(ref.uid)
        try:
            created = self._create(request)
        except OutcomeUnknown:
            raise
        except InterlinkError:
            self._settle(ref.uid)
            raise
        self._settle(ref.uid)
        return created

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        method = "POST" if self._peer == "plugin" else "DELETE"
        body = contract.ref_json(pod)
        if grace is not None:
            body = {**body, "metadata": {**body["metadata"], "deletionGracePeriodSeconds": grace}}
        request = json_request(method, "/delete", session("DeletePod"), body)
        messages.checked(self._transport.call(request), request, self._transport.peer, success=(200, 404))
        self._settle(pod.uid)
        return None

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        if pods is None and self._peer == "plugin":
            raise Unsupported("a plugin does not list its pods")
        if pods is None:
            return self._report([])
        asked = list(pods)
        if not asked:
            return []
        known = {} if self._singly and len(asked) > 1 else self._batch(asked)
        if len(asked) > 1 and any(pod.uid not in known for pod in asked):
            # Some peers look at the first pod only, or fail all for one that they do not know.
            self._singly = True
            for pod in asked:
                known.update(self._batch([pod]))
        return [_kinded(known[pod.uid], pod) for pod in asked if pod.uid in known]

    def logs(self, query: LogQuery) -> LogStream:
        if query.tail == 0 and not query.follow:
            return _Nothing()
        request = json_request("GET", "/getLogs", session("GetLogs"), contract.log_json(query), reads=True)
        return self._transport.open(request)

    def ping(self) -> Ping:
        if self._peer == "plugin":
            request = json_request("GET", "/status", session("PingInterLink"), [], reads=True)
        else:
            request = Request("POST", "/pinglink", session("PingInterLink"))
        reply = messages.checked(self._transport.call(request), request, self._transport.peer)
        try:
            return messages.understood(reply.body, contract.ping, request, self._transport.peer)
        except Unavailable:  # any answer says that it is there
            return Ping()

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        raise Unsupported("volumes of a running pod cannot be updated on this contract")

    def _create(self, request: PodRequest) -> Created:
        body: Any = plugin.retrieved_json(request) if self._peer == "plugin" else contract.create_json(request)
        sent = json_request("POST", "/create", session("CreatePod"), [body] if self._listed else body, again=False)
        peer = self._transport.peer
        reply = messages.checked(self._transport.call(sent), sent, peer)
        created = messages.understood(reply.body, contract.created, sent, peer)
        return replace(created, uid=request.pod.uid)

    def _found(self, ref: PodRef) -> Created | None:
        """Return an earlier create's result if the peer knows the pod."""
        found = self._report([ref])
        mine = next((status for status in found if status.uid == ref.uid), None)
        if mine is None:
            return None
        self._settle(ref.uid)
        return Created(ref.uid, mine.jid or ref.uid, "existing")

    def _batch(self, pods: Sequence[PodRef]) -> dict[str, PodStatus]:
        wanted = {pod.uid for pod in pods}
        try:
            return {status.uid: status for status in self._report(pods) if status.uid in wanted}
        except Unavailable as error:
            if isinstance(error, HostUnreachable):
                raise
            return {}  # it did answer, but not about all of these pods

    def _report(self, pods: Sequence[PodRef]) -> list[PodStatus]:
        request = json_request("GET", "/status", session("GetStatus"), contract.refs_json(pods), reads=True)
        reply = messages.checked(self._transport.call(request), request, self._transport.peer)
        return messages.understood(reply.body, statuses.contract_status, request, self._transport.peer)

    def _is_uncertain(self, uid: str) -> bool:
        with self._lock:
            return uid in self._uncertain

    def _doubt(self, uid: str) -> None:
        with self._lock:
            self._uncertain.add(uid)

    def _settle(self, uid: str) -> None:
        with self._lock:
            self._uncertain.discard(uid)


class _Nothing:
    """An empty log."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        return None


def _kinded(status: PodStatus, pod: PodRef) -> PodStatus:
    """Tell native sidecars from init containers by the manifest: the contract does not."""
    kinds = {container.name: container.kind for container in Pod(pod.raw).containers}
    containers = tuple(replace(item, kind=kinds.get(item.name, item.kind)) for item in status.containers)
    return replace(status, containers=containers)
