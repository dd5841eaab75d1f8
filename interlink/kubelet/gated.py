"""A node's view of the shared backend: writes pass the node's gate, and news come while the node is served."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection

from interlink.kubelet.backend import Backend, Contact, Listener, Listeners
from interlink.kubelet.decide import Knowledge
from interlink.kubelet.gate import Gate
from interlink.model.driver import LogQuery, NodeRecord, PodEvent, PodRecord, Volumes
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.usage import NodeUsage


class GatedBackend(Listener):
    """The same backend; create, delete and update raise NotLeading while the gate is shut.

    It is made anew each time that this process takes the lead, and takes its listeners along when it goes: whoever
    follows the backend passes the news on to it.
    """

    def __init__(self, backend: Backend, gate: Gate) -> None:
        self._backend, self._gate = backend, gate
        self._listeners = Listeners()

    # Listener

    def job_changed(self, record: PodRecord) -> None:
        self._listeners.tell(lambda listener: listener.job_changed(record))

    def job_event(self, event: PodEvent) -> None:
        self._listeners.tell(lambda listener: listener.job_event(event))

    def contact_changed(self) -> None:
        self._listeners.tell(lambda listener: listener.contact_changed())

    # Backend

    @property
    def contact(self) -> Contact:
        return self._backend.contact

    @contact.setter
    def contact(self, value: Contact) -> None:
        raise AttributeError("the contact is the backend's own")

    @property
    def fills_addresses(self) -> bool:
        return self._backend.fills_addresses

    def listen(self, listener: Listener) -> None:
        self._listeners.add(listener)

    async def run(self) -> None:
        await self._backend.run()

    async def close(self) -> None:
        """Whoever made the backend closes it."""

    def job(self, uid: str) -> PodRecord | None:
        return self._backend.job(uid)

    def jobs(self) -> Collection[PodRecord]:
        return self._backend.jobs()

    def knowledge(self, uid: str) -> Knowledge:
        return self._backend.knowledge(uid)

    async def learn(self, pod: Pod) -> None:
        await self._backend.learn(pod)

    async def look_up(self, uid: str) -> PodRecord | None:
        return await self._backend.look_up(uid)

    async def create(self, request: PodRequest) -> None:
        await self._gate.run(self._backend.create(request))

    async def delete(self, pod: PodRef, grace: int | None) -> None:
        await self._gate.run(self._backend.delete(pod, grace))

    def forget(self, uid: str) -> None:
        self._backend.forget(uid)

    async def update(self, pod: PodRef, volumes: Volumes) -> None:
        await self._gate.run(self._backend.update(pod, volumes))

    def logs(self, query: LogQuery) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._backend.logs(query)

    async def stats(self, node: str) -> NodeUsage | None:
        return await self._backend.stats(node)

    async def nodes(self) -> list[NodeRecord]:
        return await self._backend.nodes()
