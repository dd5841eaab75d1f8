"""An API server whose store was replaced knows none of our pods: that stops none of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from interlink.kubelet import pods, samecluster
from interlink.kubelet.backend import Contact, Listener
from interlink.kubelet.decide import Knowledge
from interlink.kubelet.events import Recorder
from interlink.kubelet.kube import ApiError
from interlink.kubelet.pods import Pods
from interlink.kubelet.references import Site
from interlink.kubelet.submitting import Place, Tools
from interlink.kubelet.tokens import Tokens
from interlink.model.driver import PodRecord
from interlink.model.pod import PodRef
from tests.unit.kubelet.serverkit import POD, record

Json = dict[str, Any]
OURS, OTHER = "cluster-1", "cluster-2"


class Api:
    """A cluster with one pod on our node, until its store is replaced by an empty one."""

    def __init__(self) -> None:
        self.cluster, self.pods = OURS, [running()]
        self.identified = 0
        self.ended = asyncio.Event()

    def replace_store(self, cluster: str) -> None:
        self.cluster, self.pods = cluster, []
        self.ended.set()

    async def get(self, path: str, **_: object) -> Json:
        if path.endswith("/services"):
            self.identified += 1
            return {"items": [{"metadata": {"uid": self.cluster}}]}
        if "/pods/" in path:
            raise ApiError(404, "NotFound", "no such pod")
        return {"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": self.pods}

    async def patch(self, path: str, body: Json, *_: object) -> Json:
        return {**running(), "status": {**running()["status"], **body["status"]}}

    @contextlib.asynccontextmanager
    async def watch(self, path: str, **_: object) -> AsyncIterator[AsyncGenerator[Json, None]]:
        async def events() -> AsyncGenerator[Json, None]:
            await self.ended.wait()
            self.ended.clear()
            raise ApiError(410, "Expired", "too old")
            yield {}

        async with contextlib.aclosing(events()) as found:
            yield found


class Server:
    """An interLink server that runs the pod."""

    fills_addresses = True

    def __init__(self) -> None:
        self.contact = Contact(up=True)
        self.deleted: list[str] = []

    def listen(self, listener: Listener) -> None:
        pass

    def job(self, uid: str) -> PodRecord | None:
        return record(origin=OURS, target="deleted" if self.deleted else "run")

    def jobs(self) -> list[PodRecord]:
        return [record(origin=OURS)]

    def knowledge(self, uid: str) -> Knowledge:
        return Knowledge.COMPLETE

    def forget(self, uid: str) -> None:
        pass

    async def delete(self, pod: PodRef, grace: int | None) -> None:
        self.deleted.append(pod.uid)


def running() -> Json:
    metadata = {**POD["metadata"], "resourceVersion": "1"}
    return {**POD, "metadata": metadata, "status": {"phase": "Running"}}


def test_what_another_cluster_does_not_know_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(samecluster, "KEEP_SECONDS", 0.0)

    async def main() -> None:
        api, server = Api(), Server()
        kube: Any = api
        backend: Any = server
        tools = Tools(kube, backend, None, Tokens(kube), Recorder(kube, "n1"))  # type: ignore[arg-type]
        made = Pods(Place("n1", "192.0.2.1", lambda: Site(OURS)), tools)
        work = asyncio.ensure_future(made.run())
        try:
            await until(made.recovered.is_set)
            api.replace_store(OTHER)
            await until(lambda: api.identified > 5)
            assert server.deleted == []
            api.cluster = OURS  # the old store is back, and the pod really is not in it
            await until(lambda: bool(server.deleted))
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    asyncio.run(main())


async def until(holds: Any) -> None:
    async def wait() -> None:
        while not holds():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 60)
