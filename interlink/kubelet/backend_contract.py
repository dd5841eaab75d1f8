"""Any other interLink server, by the six calls of the existing contract: it is polled, and names no nodes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from interlink.client import calls
from interlink.client.aio import AioTransport
from interlink.client.within import waited
from interlink.errors import DeadlineExceeded, HostUnreachable, InterlinkError, OutcomeUnknown, Unavailable, Unsupported
from interlink.kubelet.backend import Contact, Jobs, Listener, Listeners
from interlink.kubelet.decide import Knowledge
from interlink.kubelet.together import together
from interlink.model.driver import LogQuery, NodeRecord, Ping, PodRecord, Volumes
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import ContainerStatus, Phase, PodStatus
from interlink.model.usage import NodeUsage
from interlink.model.wire.problems import AlreadyDeleted

log = logging.getLogger(__name__)

BATCH = 100  # pods in one question
PING_SECONDS = 15.0  # for the answer to a ping


@dataclass(frozen=True)
class Rhythm:
    """Seconds: between rounds of questions, and between pings."""

    poll: float = 5.0
    ping: float = 30.0


@dataclass
class _Followed:
    """A pod that we ask about."""

    pod: Pod
    answered: bool = False  # the server was asked and did not know it, or does


class ContractBackend:
    """A Backend over the root endpoints. What a reply leaves out is not known to be gone.

    `answer_ping` keeps the last ping's answer for whoever registers the node.
    """

    fills_addresses = False

    def __init__(self, transport: AioTransport, *, rhythm: Rhythm | None = None) -> None:
        self._transport, self._rhythm = transport, rhythm or Rhythm()
        self._jobs, self._listeners = Jobs(), Listeners()
        self._followed: dict[str, _Followed] = {}
        self._uncertain: set[str] = set()
        self._deleted: set[str] = set()
        self._singly = False
        self._heard = datetime.now(timezone.utc)
        self._doubt = asyncio.Event()  # a question has failed: ping
        self.contact = Contact()
        self.answered_ping = Ping()

    def listen(self, listener: Listener) -> None:
        self._listeners.add(listener)

    async def close(self) -> None:
        await self._transport.close()

    async def run(self) -> None:
        """Ping beside the questions: a server that hangs is told by a ping, long before a question gives up."""
        await together(self._pinging(), self._polling())

    async def _pinging(self) -> None:
        while True:
            self._doubt.clear()
            pause = self._rhythm.ping
            try:
                await self._ping()
            except InterlinkError as error:
                self._lost(error)
                pause = self._rhythm.poll
            await waited(self._doubt, pause)

    async def _polling(self) -> None:
        while True:
            try:
                if self.contact.up:
                    await self._poll()
            except InterlinkError as error:
                self._lost(error)
            await asyncio.sleep(self._rhythm.poll)

    def job(self, uid: str) -> PodRecord | None:
        return self._jobs.get(uid)

    def jobs(self) -> Collection[PodRecord]:
        return list(self._jobs.live())

    def knowledge(self, uid: str) -> Knowledge:
        followed = self._followed.get(uid)
        return Knowledge.PARTIAL if followed is not None and followed.answered else Knowledge.AWAY

    async def learn(self, pod: Pod) -> None:
        followed = self._followed.setdefault(pod.uid, _Followed(pod))
        followed.pod = pod
        if not followed.answered:
            await self._ask([pod])
            followed.answered = True

    async def look_up(self, uid: str) -> PodRecord | None:
        return self._jobs.get(uid)

    async def create(self, request: PodRequest) -> None:
        uid = request.pod.uid
        self._followed[uid] = _Followed(request.pod, answered=True)
        if uid in self._deleted:
            raise AlreadyDeleted(f"pod {uid} was deleted already; nothing is launched")
        if uid in self._uncertain:
            await self._ask([request.pod])
            if self._jobs.get(uid) is not None:
                self._uncertain.discard(uid)
                return
        self._uncertain.add(uid)
        try:
            created = await self._transport.ask(calls.contract_create(request))
        except OutcomeUnknown:
            raise
        except InterlinkError:
            self._uncertain.discard(uid)
            raise
        self._uncertain.discard(uid)
        if self._jobs.get(uid) is None:
            self._report(request.pod, _accepted(request.pod, created.jid))

    async def delete(self, pod: PodRef, grace: int | None) -> None:
        await self._transport.ask(calls.contract_delete(pod, grace))
        self._deleted.add(pod.uid)
        self._uncertain.discard(pod.uid)
        self._followed.pop(pod.uid, None)
        record = self._jobs.get(pod.uid)
        if record is not None:  # this contract says no more than this of a deleted pod
            self._jobs.put(replace(record, target="deleted", gone=True))

    def forget(self, uid: str) -> None:
        self._followed.pop(uid, None)
        self._uncertain.discard(uid)
        self._deleted.discard(uid)

    async def update(self, pod: PodRef, volumes: Volumes) -> None:
        raise Unsupported("volumes of a running pod cannot be updated on this contract")

    @contextlib.asynccontextmanager
    async def logs(self, query: LogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        if query.tail == 0 and not query.follow:  # 0 cannot be said on this contract
            yield _nothing()
            return
        async with self._transport.open(calls.contract_log(query), answer_seconds=calls.log_seconds(query)) as chunks:
            yield chunks

    async def stats(self, node: str) -> NodeUsage | None:
        return None

    async def nodes(self) -> list[NodeRecord]:
        return []

    async def _ping(self) -> None:
        with contextlib.suppress(Unsupported):
            self.answered_ping = await self._transport.ask(calls.ping(), answer_seconds=PING_SECONDS)
        self._heard = datetime.now(timezone.utc)
        if self.contact.set(""):
            log.info("the interLink server %s answers", self._transport.peer)
            self._listeners.tell(lambda listener: listener.contact_changed())
        self._listeners.tell(lambda listener: listener.nodes_changed())

    async def _poll(self) -> None:
        """Ask about every pod that has not ended."""
        asked = [item.pod for uid, item in self._followed.items() if not self._has_ended(uid)]
        for start in range(0, len(asked), BATCH):
            await self._ask(asked[start : start + BATCH])

    def _has_ended(self, uid: str) -> bool:
        record = self._jobs.get(uid)
        return record is not None and (record.gone or record.status.terminal)

    async def _ask(self, pods: Sequence[Pod]) -> None:
        """Ask about pods, in one batch or one by one where this server does not answer batches.

        Some servers look at the first pod only, or fail all for one that they do not know.
        """
        known = {} if self._singly and len(pods) > 1 else await self._batch(pods)
        if len(pods) > 1 and any(pod.uid not in known for pod in pods):
            self._singly = True
            for pod in pods:
                known |= await self._batch([pod])
        for pod in pods:
            if pod.uid in known and pod.uid in self._followed:  # it may have been deleted meanwhile
                self._report(pod, calls.kinded(known[pod.uid], pod))

    async def _batch(self, pods: Sequence[Pod]) -> dict[str, PodStatus]:
        wanted = {pod.uid for pod in pods}
        try:
            found = await self._transport.ask(calls.contract_status([PodRef.of(pod) for pod in pods]))
        except HostUnreachable:
            raise
        except Unavailable:
            if len(pods) == 1:
                raise
            return {}  # it did answer, but not about all of these pods
        self._heard = datetime.now(timezone.utc)
        return {status.uid: status for status in found if status.uid in wanted}

    def _report(self, pod: Pod, status: PodStatus) -> None:
        if status.phase is Phase.UNKNOWN and (before := self._jobs.get(pod.uid)):
            status = replace(before.status, phase=Phase.UNKNOWN)
        record = PodRecord(
            pod.uid, pod.namespace, pod.name, pod.node_name, "", "run", status, restart_policy=pod.restart_policy
        )
        if self._jobs.get(pod.uid) != record:
            self._jobs.put(record)
            self._listeners.tell(lambda listener: listener.job_changed(record))

    def _lost(self, error: InterlinkError) -> None:
        silent = self._heard if isinstance(error, DeadlineExceeded) else None
        if self.contact.set(str(error), silent):
            self._doubt.set()
            log.warning("the interLink server is away: %s", error)
            self._listeners.tell(lambda listener: listener.contact_changed())


def _accepted(pod: Pod, jid: str) -> PodStatus:
    """Return the status of a pod that was taken, before anything is known of it."""
    containers = tuple(ContainerStatus(c.name, c.kind, c.image) for c in pod.containers)
    return PodStatus(pod.uid, pod.namespace, pod.name, jid=jid, containers=containers)


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in list[bytes]():
        yield chunk
