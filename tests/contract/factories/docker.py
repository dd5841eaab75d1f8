"""Docker over a real sshd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from interlink.drivers.docker import DockerDriver
from interlink.model.host import Host
from interlink.remote.pool import Pool
from tests.contract.support import LossyConnection, Rig
from tests.lab.hosts import TEST_IMAGE, SshHost

NAME = "docker"
MARKS = (pytest.mark.lab,)
FEATURES = frozenset({"host", "usage", "processes", "images", "restarts", "volumes", "mounts", "odd-env", "care"})


def rig(request: pytest.FixtureRequest) -> AbstractContextManager[Rig]:
    return engine_rig(request, request.getfixturevalue("docker_host"))


@contextmanager
def engine_rig(request: pytest.FixtureRequest, account: SshHost) -> Iterator[Rig]:
    """A rig on one host of the lab; whatever the tests leave there is an error."""
    files = request.getfixturevalue("tmp_path_factory").mktemp(account.name)
    host = Host(account.name, vars=account.variables)
    name = f"contract-{files.parent.parent.name}-{files.parent.name}-{files.name}".replace("_", "-")
    with Pool(files / "known_hosts") as pool:
        connection = LossyConnection(pool.connection(host))
        driver, foreign = (DockerDriver(host, connection, server) for server in (name, f"{name}-foreign"))
        yield Rig(driver, FEATURES, image=TEST_IMAGE, lose=connection.lose, foreign=foreign)
        for server in (name, f"{name}-foreign"):
            place = f"{host.root}/{server}"
            connection.run(f"cd {place} && read -r pid rest < supervisor && kill -TERM -$pid; cd /; rm -rf {place}")
    assert account.engine is not None
    left = account.engine.containers(f"label=interlink.eu/server={name}")
    account.engine.remove(*left)
    assert not left, f"the contract's tests left containers behind: {left}"
