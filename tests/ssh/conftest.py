"""Connections to servers of the test's own, and proof that nothing stays behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlink.model.host import Host
from interlink.remote.connection import Connection
from interlink.remote.pool import Pool
from interlink.remote.tuning import Tuning
from tests.lab.process import wait_until
from tests.lab.sshd import PLAIN_USER, Sshd

QUICK = Tuning(
    open_timeout=30.0,
    session_timeout=20.0,
    ping_interval=1.0,
    ping_timeout=3.0,
    grace=1,
    backoff_first=0.2,
    backoff_most=0.5,
    refused_first=3.0,
    refused_most=3.0,
)
"""Losses are noticed within some seconds, and what is left on a host ends soon after."""


class Site:
    """Servers and connections of one test."""

    def __init__(self, sshd_factory: Callable[..., Sshd], directory: Path) -> None:
        self._factory = sshd_factory
        self.own_known_hosts = directory / "state" / "known_hosts"
        self.servers: list[Sshd] = []
        self.pools: list[Pool] = []

    def server(self, **arguments: Any) -> Sshd:
        self.servers.append(self._factory(**arguments))
        return self.servers[-1]

    def pool(self, tuning: Tuning = QUICK) -> Pool:
        self.pools.append(Pool(self.own_known_hosts, tuning))
        return self.pools[-1]

    def host(self, server: Sshd, name: str = "h1", **variables: Any) -> Host:
        found = {**server.host(name, PLAIN_USER).variables, **variables}
        return Host(name, (), {key: value for key, value in found.items() if value is not None})

    def connect(self, server: Sshd | None = None, *, tuning: Tuning = QUICK, **variables: Any) -> Connection:
        return self.pool(tuning).connection(self.host(server or self.server(), **variables))

    def close(self) -> None:
        for pool in self.pools:
            pool.close()


def descriptors() -> dict[str, str]:
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
    return found


@pytest.fixture
def site(sshd_factory: Callable[..., Sshd], tmp_path: Path) -> Iterator[Site]:
    """Afterwards no thread, descriptor, sshd connection or remote process may be left."""
    threads, files = set(threading.enumerate()), descriptors()
    site = Site(sshd_factory, tmp_path)
    yield site
    for server in site.servers:
        server.resume()
    site.close()
    for server in site.servers:
        wait_until(lambda server=server: not server.commands(), 60, f"the end of {server.commands()}")
        wait_until(lambda server=server: not server.connections(), 30, "the end of the connections of sshd")
    wait_until(lambda: set(threading.enumerate()) <= threads, 10, f"the end of {set(threading.enumerate()) - threads}")
    assert len(descriptors()) <= len(files), (set(descriptors().values()) - set(files.values()), "left open")
