"""Our own server: everything comes by push from `/v1/watch`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timezone

from interlink.client import calls, messages
from interlink.client.aio import AioTransport, split_lines
from interlink.errors import DeadlineExceeded, InterlinkError, NotFound
from interlink.kubelet.backend import Contact, Jobs, Listener, Listeners
from interlink.kubelet.decide import Knowledge
from interlink.model.driver import Change, LogQuery, NodeRecord, PodEvent, PodRecord, Volumes
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.usage import NodeUsage
from interlink.model.wire import v1

log = logging.getLogger(__name__)

SILENCE_SECONDS = 25.0  # a bookmark comes every ten
_BACKOFF = (0.2, 10.0)  # seconds


class V1Backend:
    """A Backend over `/v1`. The watch begins with a full picture; later ones resume where the last broke off."""

    fills_addresses = True

    def __init__(self, transport: AioTransport) -> None:
        self._transport = transport
        self._jobs, self._listeners = Jobs(), Listeners()
        self._since: int | None = None
        self._heard = datetime.now(timezone.utc)
        self.contact = Contact()

    def listen(self, listener: Listener) -> None:
        self._listeners.add(listener)

    async def close(self) -> None:
        await self._transport.close()

    async def run(self) -> None:
        delay = _BACKOFF[0]
        while True:
            try:
                await self._follow()
                delay = _BACKOFF[0]
            except NotFound:  # what we have seen last is forgotten there: a full picture
                self._since = None
            except InterlinkError as error:
                if self.contact.up:
                    delay = _BACKOFF[0]
                self._lost(error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311
                delay = min(2 * delay, _BACKOFF[1])

    def job(self, uid: str) -> PodRecord | None:
        return self._jobs.get(uid)

    def jobs(self) -> Collection[PodRecord]:
        return list(self._jobs.live())

    def knowledge(self, uid: str) -> Knowledge:
        return Knowledge.COMPLETE if self.contact.up else Knowledge.AWAY

    async def learn(self, pod: Pod) -> None:
        """The watch tells of every pod."""

    async def look_up(self, uid: str) -> PodRecord | None:
        try:
            return await self._transport.ask(calls.pod(uid))
        except NotFound:
            return None

    async def create(self, request: PodRequest) -> None:
        # what is known after the launch is one status for the API server, not two
        record = await self._transport.ask(calls.create(request, wait=calls.LAUNCH_SECONDS))
        if self._jobs.get(record.uid) is None:  # the watch may have been faster, and is the newer then
            self._jobs.put(record)

    async def delete(self, pod: PodRef, grace: int | None) -> None:
        await self._transport.ask(calls.delete(pod.uid, grace))

    def forget(self, uid: str) -> None:
        """The watch tells what goes."""

    async def update(self, pod: PodRef, volumes: Volumes) -> None:
        await self._transport.ask(calls.update(pod.uid, volumes))

    @contextlib.asynccontextmanager
    async def logs(self, query: LogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._transport.open(calls.log(query)) as chunks:
            yield chunks

    async def stats(self, node: str) -> NodeUsage | None:
        return await self._transport.ask(calls.stats(node))

    async def nodes(self) -> list[NodeRecord]:
        return await self._transport.ask(calls.nodes())

    async def _follow(self) -> None:
        """Follow one watch to its end."""
        request = calls.watch(self._since)
        picture: list[PodRecord] | None = [] if self._since is None else None
        async with self._transport.open(request, silence_seconds=SILENCE_SECONDS) as chunks:
            if picture is None:
                self._found()
            async for line in split_lines(chunks):
                self._heard = datetime.now(timezone.utc)
                change = messages.understood(line, v1.change, request, self._transport.peer)
                if picture is None:
                    self._take(change)
                elif change.type == "bookmark":
                    self._replace(picture)
                    picture, self._since = None, change.seq
                    self._found()
                elif isinstance(change.object, PodRecord):
                    picture.append(change.object)

    def _take(self, change: Change) -> None:
        if change.seq:
            self._since = change.seq
        item = change.object
        if isinstance(item, PodRecord):
            self._jobs.put(item)
            self._listeners.tell(lambda listener: listener.job_changed(item))
        elif isinstance(item, PodEvent):
            self._listeners.tell(lambda listener: listener.job_event(item))
        elif change.type == "node":
            self._listeners.tell(lambda listener: listener.nodes_changed())

    def _replace(self, picture: list[PodRecord]) -> None:
        lost = self._jobs.replace(picture)
        for record in [*picture, *lost]:
            self._listeners.tell(lambda listener, record=record: listener.job_changed(record))  # type: ignore[misc]
        self._listeners.tell(lambda listener: listener.nodes_changed())

    def _found(self) -> None:
        if self.contact.set(""):
            log.info("the interLink server %s answers", self._transport.peer)
            self._listeners.tell(lambda listener: listener.contact_changed())

    def _lost(self, error: InterlinkError) -> None:
        silent = self._heard if isinstance(error, DeadlineExceeded) else None
        if self.contact.set(str(error), silent):
            log.warning("the interLink server is away: %s", error)
            self._listeners.tell(lambda listener: listener.contact_changed())
