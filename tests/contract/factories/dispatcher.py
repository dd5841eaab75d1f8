"""The dispatcher over two mock hosts, with a ledger of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from interlink.dispatcher import Dispatcher
from interlink.drivers.mock import MockDriver
from interlink.ledger import FileLeases, FilePayloads, Ledger
from interlink.model.host import Host
from tests.contract.support import Rig, wait

NAME = "dispatcher"
MARKS = ()
FEATURES = frozenset({"restarts"})


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    state = request.getfixturevalue("tmp_path_factory").mktemp("dispatcher")
    hosts = {name: Host(name, vars={"interlink_driver": "mock"}) for name in ("one", "two")}
    with closing(Ledger(f"sqlite:///{state}/ledger.db")) as ledger, closing(FileLeases(state / "lease")) as leases:
        dispatcher = Dispatcher(
            hosts,
            ledger=ledger,
            payloads=FilePayloads(state / "payload"),
            leases=leases,
            make_driver=lambda host: MockDriver(host, ledger.server_id()),
        )
        with closing(dispatcher):
            dispatcher.start()
            wait(lambda: all(host.reachable for host in dispatcher.hosts()), "the hosts are reached")
            yield Rig(dispatcher, FEATURES)
