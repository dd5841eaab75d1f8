"""Which pods a server of the old contract is asked about."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from interlink.kubelet.backend_contract import ContractBackend
from interlink.model.pod import Pod, PodRef
from interlink.model.status import PodStatus


class Server:
    """Knows these pods; `asked` are the UIDs of each question."""

    peer = "a server"

    def __init__(self, *known: str) -> None:
        self.known, self.asked = set(known), list[set[str]]()

    async def ask(self, call: Any, **_: object) -> Any:
        if call.request.path != "/status":
            return None
        uids = {item["metadata"]["uid"] for item in json.loads(call.request.body)}
        self.asked.append(uids)
        return [PodStatus(uid, "ns", uid) for uid in uids & self.known]


def pod(uid: str) -> Pod:
    return Pod({"metadata": {"uid": uid, "namespace": "ns", "name": uid}, "spec": {"containers": [{"name": "c"}]}})


def test_a_pod_that_is_forgotten_is_asked_about_no_more() -> None:
    async def main() -> None:
        server: Any = Server("here")
        backend = ContractBackend(server)
        for uid in ("here", "never-sent"):
            await backend.learn(pod(uid))
        server.asked.clear()
        await backend._poll()
        assert set().union(*server.asked) == {"here", "never-sent"}
        backend.forget("never-sent")
        server.asked.clear()
        await backend._poll()
        assert server.asked == [{"here"}]

    asyncio.run(main())


def test_an_answer_that_comes_after_the_delete_revives_nothing() -> None:
    class Late(Server):
        async def ask(self, call: Any, **more: object) -> Any:
            found = await super().ask(call, **more)
            if call.request.path == "/status" and len(self.asked) > 1:
                await backend.delete(PodRef("here", "ns", "here"), 0)
                backend.forget("here")
            return found

    server: Any = Late("here")
    backend = ContractBackend(server)

    async def main() -> None:
        await backend.learn(pod("here"))
        assert len(backend.jobs()) == 1
        await backend._poll()
        assert list(backend.jobs()) == []

    asyncio.run(main())
