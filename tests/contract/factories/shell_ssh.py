"""The shell driver over a real sshd, on an account that has no engine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from interlink.model.host import Host
from interlink.remote.pool import Pool
from tests.contract.factories import shell_local
from tests.contract.support import Rig
from tests.lab.hosts import SshHost

NAME = "shell-ssh"
MARKS = (pytest.mark.lab,)
FEATURES = shell_local.FEATURES


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    account: SshHost = request.getfixturevalue("plain_host")
    files = request.getfixturevalue("tmp_path_factory").mktemp(account.name)
    with Pool(files / "known_hosts") as pool:
        connection = pool.connection(Host(account.name, vars=account.variables))
        home = connection.run('printf %s "$HOME"').text
        with shell_local.shell_rig(connection, f"{home}/contract-{uuid.uuid4()}") as made:
            yield made
