"""The cost of watching a host does not grow with its pods, and an end among many is still told at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from interlink.drivers.docker import DockerDriver
from interlink.errors import InterlinkError
from interlink.model.driver import HostFacts, Listing
from interlink.model.host import Host
from interlink.model.status import PodStatus, Running
from interlink.remote.pool import Pool
from interlink.watch import Intervals, Watcher
from tests.contract.support import Box, Rig, container, ended, wait
from tests.docker.support import FEATURES, CountingConnection
from tests.lab.hosts import TEST_IMAGE, Engine, SshHost

pytestmark = [pytest.mark.lab, pytest.mark.minutes(12)]  # 17 minutes where a docker start takes seconds

MANY, FEW, LISTINGS = 200, 3, 6
LATEST = 10.0  # seconds until an end is in the status: ten times the demand


@dataclass
class Seen:
    """A sink that remembers the last status of each pod, and how many commands each listing took."""

    connection: CountingConnection
    last: dict[str, PodStatus] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)  # when that came, in seconds since 1970
    listings: list[int] = field(default_factory=list)  # the number of commands so far, at each complete listing
    lost: list[InterlinkError] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    def expected(self) -> Collection[str]:
        return ()

    def gathered(self, facts: HostFacts) -> None:
        pass

    def connected(self) -> None:
        self.ready.set()

    def observed(self, listing: Listing, *, complete: bool) -> None:
        self.at.update(dict.fromkeys(listing.pods, time.time()))
        self.last.update(listing.pods)
        if complete:
            self.listings.append(self.connection.commands)

    def vanished(self, uids: Collection[str]) -> None:
        pass

    def disconnected(self, error: InterlinkError) -> None:
        self.lost.append(error)


@contextmanager
def _watching(rig: Rig, connection: CountingConnection, intervals: Intervals) -> Iterator[Seen]:
    seen = Seen(connection)
    watcher = Watcher("many", rig.driver, seen, intervals=intervals)
    watcher.start()
    try:
        assert seen.ready.wait(90), seen.lost
        yield seen
    finally:
        watcher.stop()
        assert watcher.join(60)
    assert not seen.lost


def _cost(rig: Rig, connection: CountingConnection, pods: int) -> list[int]:
    """Return how many commands went to the host from each complete listing to the next, while nothing happens."""
    with _watching(rig, connection, Intervals(resync=0.5, facts=3600.0)) as seen:
        wait(lambda: len(seen.last) == pods, f"{pods} pods are seen")
        start = len(seen.listings) + 1  # changes of the last creates may be told up to here
        wait(lambda: len(seen.listings) >= start + LISTINGS, "some listings", timeout=180)
        at = seen.listings[start:]
        return [later - earlier for earlier, later in pairwise(at)]


def _latency(seen: Seen, uid: str, engine: Engine) -> float:
    """Kill a pod's container; return the seconds from its death, by the engine's clock, to the status that says so."""
    engine.run("kill", f"il-{uid}-main-0")
    wait(lambda: seen.last[uid].terminal, "the end is told", timeout=60)
    finished = ended(seen.last[uid]).finished_at
    assert finished is not None
    return seen.at[uid] - finished.timestamp()


def test_two_hundred_cost_as_much_as_three(docker_host: SshHost, server_id: str, tmp_path: Path) -> None:
    host = Host(docker_host.name, vars=docker_host.variables)
    assert docker_host.engine is not None
    engine = docker_host.engine
    with Pool(tmp_path / "known_hosts") as pool:
        connection = CountingConnection(pool.connection(host))
        rig = Rig(DockerDriver(host, connection, server_id), FEATURES, image=TEST_IMAGE)
        requests = [rig.pod(Box("sleep 3000")) for _ in range(MANY)]
        try:
            rig.driver.prepare()
            with ThreadPoolExecutor(4) as workers:
                list(workers.map(rig.driver.create, requests[:FEW]))
                few = _cost(rig, connection, FEW)
                list(workers.map(rig.driver.create, requests[FEW:]))
            many = _cost(rig, connection, MANY)
            assert set(few) == set(many) == {1}, (few, many)
            with _watching(rig, connection, Intervals(resync=3600.0)) as seen:
                uids = [request.pod.uid for request in requests[::40]]
                assert all(isinstance(container(seen.last[uid], "main").state, Running) for uid in uids)
                late = [_latency(seen, uid, engine) for uid in uids]
            print(f"exit of one of {MANY} pods in its status after", ", ".join(f"{seconds:.2f} s" for seconds in late))
            assert max(late) < LATEST
        finally:
            ids = engine.containers(f"label=interlink.eu/server={server_id}")
            for start in range(0, len(ids), 20):
                engine.remove(*ids[start : start + 20])
            connection.run(f"rm -rf {host.root}/{server_id}")
