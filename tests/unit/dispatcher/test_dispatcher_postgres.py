"""Several servers on one PostgreSQL ledger: the hosts are divided, and nothing is lost when one goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from interlink.dispatcher import Dispatcher
from interlink.ledger import Ledger, PostgresLeases, TablePayloads
from interlink.model.host import Host
from interlink.model.pod import PodRef
from interlink.model.status import Phase
from tests.unit.dispatcher.world import QUICK, CountingHost, wait
from tests.unit.dispatcher.world import request_for as pod


class Servers:
    """Server processes as far as the ledger is concerned; the hosts outlive them."""

    def __init__(self, url: str, state: Path) -> None:
        self._url, self._state = url, state
        self.launches: dict[str, list[str]] = {}
        self._hosts = {name: Host(name) for name in ("h1", "h2")}
        self.drivers = {name: CountingHost(host, "id", self.launches) for name, host in self._hosts.items()}

    @contextmanager
    def one(self) -> Iterator[Dispatcher]:
        with ExitStack() as stack:
            ledger = Ledger(self._url)
            stack.callback(ledger.close)
            leases = PostgresLeases(ledger, "scope")
            stack.callback(leases.close)
            dispatcher = Dispatcher(
                self._hosts,
                ledger=ledger,
                payloads=TablePayloads(ledger, self._state / "key"),
                leases=leases,
                make_driver=lambda host: self.drivers[host.name],
                settings=QUICK,
            )
            stack.callback(dispatcher.close)
            dispatcher.start()
            yield dispatcher


@pytest.fixture
def servers(postgres_url: str, tmp_path: Path) -> Servers:
    return Servers(postgres_url, tmp_path)


def running(dispatcher: Dispatcher, uid: str) -> bool:
    return dispatcher.pod(uid).status.phase is Phase.RUNNING


def test_what_one_server_accepts_another_launches_and_a_third_deletes(servers: Servers) -> None:
    with servers.one() as first:
        wait(lambda: all(h.reachable for h in first.hosts()), "the first drives both hosts")
        with servers.one() as second:
            request = pod()
            uid = request.pod.uid
            second.create(request)
            wait(lambda: running(first, uid), "the first has launched what the second accepted")
            wait(lambda: running(second, uid), "the second tells of it")
            assert not any(h.reachable for h in second.hosts())
    with servers.one() as third:
        wait(lambda: all(h.reachable for h in third.hosts()), "the third has taken the hosts over")
        third.delete(PodRef(uid), 0)
        wait(lambda: third.pod(uid).gone, "the pod is gone")
    assert [len(hosts) for hosts in servers.launches.values()] == [1]
    assert not any(driver.living for driver in servers.drivers.values())
