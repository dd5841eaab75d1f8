"""The client of any interLink server or plugin: the six calls of the existing contract."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal

from interlink.client import calls, messages
from interlink.client.transport import Transport
from interlink.errors import HostUnreachable, InterlinkError, OutcomeUnknown, Unavailable, Unsupported
from interlink.model.driver import Created, LogQuery, LogStream, Ping, Volumes
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import PodStatus

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
        self._transport.ask(calls.contract_delete(pod, grace, method))
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
        return [calls.kinded(known[pod.uid], Pod(pod.raw)) for pod in asked if pod.uid in known]

    def logs(self, query: LogQuery) -> LogStream:
        if query.tail == 0 and not query.follow:
            return _Nothing()
        return self._transport.open(calls.contract_log(query), answer_seconds=calls.log_seconds(query))

    def ping(self) -> Ping:
        call = calls.plugin_ping() if self._peer == "plugin" else calls.ping()
        reply = messages.checked(self._transport.send(call.request), call.request, self._transport.peer)
        try:
            return call.answer(reply, self._transport.peer)
        except Unavailable:  # any answer says that it is there
            return Ping()

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        raise Unsupported("volumes of a running pod cannot be updated on this contract")

    def _create(self, request: PodRequest) -> Created:
        if self._peer == "plugin":
            return self._transport.ask(calls.plugin_create(request, listed=self._listed))
        return self._transport.ask(calls.contract_create(request))

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
        return self._transport.ask(calls.contract_status(pods))

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
