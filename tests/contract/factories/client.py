"""The client of `/v1`, over a real server that runs a dispatcher over mock hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from interlink.client import Client
from tests.api.process import running
from tests.contract.support import Rig, wait

NAME = "client"
MARKS = ()
FEATURES = frozenset({"restarts"})


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    state = request.getfixturevalue("tmp_path_factory").mktemp("client")
    with running(state, f"unix://{state}/s.sock", state=state) as server, closing(Client(server.url)) as client:
        wait(lambda: all(host.reachable for host in client.hosts()), "the hosts are reached")
        yield Rig(client, FEATURES)
