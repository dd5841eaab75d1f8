"""Slurm over a real sshd of a login node, by an ordinary user."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from interlink.drivers.slurm import SlurmDriver
from interlink.model.host import Host
from interlink.remote.pool import Pool
from interlink.remote.shell import quote
from tests.contract.support import LossyConnection, Rig
from tests.lab.hosts import SshHost

NAME = "slurm"
MARKS = (pytest.mark.lab,)
FEATURES = frozenset({"host", "processes", "restarts", "volumes"})


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    account = request.getfixturevalue("slurm").login("login1")
    with slurm_rig(account, request.getfixturevalue("tmp_path_factory").mktemp(account.name)) as made:
        yield made


@contextmanager
def slurm_rig(account: SshHost, files: Path, variables: Mapping[str, Any] | None = None) -> Iterator[Rig]:
    """A rig on one login node; pods that the tests leave are an error."""
    root = f"~/contract-{uuid.uuid4()}"
    host = Host(account.name, vars={**account.variables, **(variables or {}), "interlink_root": root})
    with Pool(files / "known_hosts") as pool:
        connection = LossyConnection(pool.connection(host))
        driver, foreign = (SlurmDriver(host, connection, server) for server in ("contract", "foreign"))
        yield Rig(driver, FEATURES, lose=connection.lose, foreign=foreign)
        directory = quote(root.removeprefix("~/"))
        left = connection.run(f"cd ~/{directory} && ls -A */pods").text.split("\n")
        connection.run(f"rm -rf ~/{directory}")
    assert not [line for line in left if line and not line.endswith(":")], left
