"""A server that hangs, without a connection breaking, is told by the time that it was heard last."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from interlink.client.aio import AioTransport
from interlink.kubelet.backend import Backend
from interlink.kubelet.backend_contract import ContractBackend, Rhythm
from interlink.kubelet.backend_v1 import V1Backend
from tests.kill.server import Server
from tests.kubelet.objects import beside, until
from tests.kubelet.podstand import Loop
from tests.lab.process import wait_until

PATIENCE = 300.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, {"mock": {"interlink_driver": "mock", "interlink_node": "vk"}})
    made.start()
    wait_until(made.answers, PATIENCE, "the server to listen")
    try:
        yield made
    finally:
        assert made.process is not None
        os.killpg(made.process.pid, signal.SIGCONT)
        made.stop()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def v1(server: Server) -> Backend:
    return V1Backend(AioTransport(f"http://127.0.0.1:{server.port}"))


def contract(server: Server) -> Backend:
    return ContractBackend(AioTransport(f"http://127.0.0.1:{server.port}"), rhythm=Rhythm(poll=0.5, ping=5))


@pytest.mark.parametrize("make", [v1, contract])
def test_a_frozen_server_is_noticed_and_found_again(server: Server, loop: Loop, make: object) -> None:
    async def main() -> None:
        backend: Backend = make(server)  # type: ignore[operator]
        try:
            async with beside(backend.run()):
                await until(lambda: backend.contact.up, PATIENCE)
                assert backend.contact.away_seconds == 0
                assert server.process is not None
                os.killpg(server.process.pid, signal.SIGSTOP)
                frozen = datetime.now(timezone.utc)
                await until(lambda: not backend.contact.up, PATIENCE)
                noticed = datetime.now(timezone.utc)
                assert backend.contact.since <= frozen, "it was heard last before"
                assert backend.contact.away_seconds >= (noticed - frozen).total_seconds()
                os.killpg(server.process.pid, signal.SIGCONT)
                await until(lambda: backend.contact.up, PATIENCE)
                print(f"noticed after {(noticed - frozen).total_seconds():.0f} s")
        finally:
            await backend.close()

    loop.run(main(), timeout=2 * PATIENCE)
