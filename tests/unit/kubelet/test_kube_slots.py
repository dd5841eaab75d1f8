"""How many requests the client has on its way, and in which order; by a small server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interlink.errors import ConnectionLost, HostUnreachable
from interlink.kubelet import paths
from interlink.kubelet.kube import ApiError, Kube, client, retries


class Server:
    """Answers every request with {} once `free` is set; leases at once. `script` holds statuses to give first."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.now = self.most = 0
        self.asked: list[str] = []
        self.script: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while await self.one(reader, writer):
                pass

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = [line.partition(":")[2] for line in head.lower().splitlines() if line.startswith("content-length")]
        await reader.readexactly(int(length[0]) if length else 0)
        self.asked.append(head.split()[1])
        self.now += 1
        self.most = max(self.most, self.now)
        if "/leases" not in head:
            await self.free.wait()
        self.now -= 1
        status = self.script.pop(0) if self.script else 200
        if not status:
            return False
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await writer.drain()
        return True


@contextlib.asynccontextmanager
async def stand(directory: Path) -> AsyncIterator[tuple[Server, Kube]]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    content = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "current-context": "c",
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(content))
    async with listener, await Kube.connect(str(path)) as kube:
        yield server, kube


def test_requests_wait_their_turn_and_leases_have_their_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand(tmp_path) as (server, kube):
            calls = [asyncio.create_task(kube.get(paths.nodes())) for _ in range(client.IN_FLIGHT + 20)]
            while server.now < client.IN_FLIGHT:
                await asyncio.sleep(0.01)
            assert await kube.replace(paths.lease("kube-node-lease", "n"), {}, timeout=5) == {}
            with pytest.raises(HostUnreachable, match="no turn"):
                await kube.get(paths.pods(), timeout=0.05)
            assert sum("/pods" in path for path in server.asked) == 0
            server.free.set()
            await asyncio.gather(*calls)
            assert server.most == client.IN_FLIGHT + 1

    asyncio.run(main())


@pytest.mark.parametrize("lost", [503, 0], ids=["503", "a broken connection"])
def test_a_reading_is_repeated_and_a_making_is_not(lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.001)

    async def main() -> None:
        async with stand(tmp_path) as (server, kube):
            server.free.set()
            server.script = [lost, lost, 200]
            assert await kube.get(paths.nodes()) == {}
            server.script = [lost, 200]
            server.asked.clear()
            with pytest.raises((ApiError, ConnectionLost)):
                await kube.create(paths.events("default"), {})
            assert len(server.asked) == 1
            server.script = [429, 429, 200]
            assert await kube.create(paths.events("default"), {}) == {}

    asyncio.run(main())


def test_repeats_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.001)

    async def main() -> None:
        async with stand(tmp_path) as (server, kube):
            server.free.set()
            server.script = [504] * 100
            with pytest.raises(ApiError) as error:
                await kube.get(paths.nodes())
            assert error.value.status == 504
            assert len(server.asked) == retries.ATTEMPTS

    asyncio.run(main())


@pytest.mark.parametrize("ticks", range(8))
def test_a_turn_that_comes_just_as_it_is_given_up_is_not_lost(ticks: int) -> None:
    async def main() -> None:
        slots = asyncio.Semaphore(1)
        await slots.acquire()

        async def call() -> None:
            async with client._turn(slots, 60):
                await asyncio.sleep(60)

        task = asyncio.ensure_future(call())
        for _ in range(5):
            await asyncio.sleep(0)
        slots.release()
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()
        await asyncio.wait_for(slots.acquire(), 5)

    asyncio.run(main())
