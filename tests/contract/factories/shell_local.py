"""The shell driver on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pytest

from interlink.drivers.shell import ShellDriver
from interlink.model.host import Host
from interlink.remote.connection import Connection
from interlink.remote.local import LocalConnection
from interlink.remote.shell import quote
from tests.contract.support import LossyConnection, Rig

NAME = "shell-local"
MARKS = ()
FEATURES = frozenset({"host", "usage", "processes", "restarts", "volumes"})


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    root = request.getfixturevalue("tmp_path_factory").mktemp("shell")
    with closing(LocalConnection("here")) as connection, shell_rig(connection, str(root)) as made:
        yield made


@contextmanager
def _nothing_left(connection: Connection, root: str) -> Iterator[None]:
    yield
    script = f"cd {quote(root)} && ls -A */pods && grep -lsFz -e 'IL_DIR={root}/' /proc/[0-9]*/environ"
    left = connection.run(script).text.split("\n")
    connection.run(f"rm -rf {quote(root)}")
    assert not [line for line in left if line and not line.endswith(":")], left


@contextmanager
def shell_rig(connection: Connection, root: str, variables: Mapping[str, Any] | None = None) -> Iterator[Rig]:
    """A rig on one host; whatever the tests leave below `root` is an error."""
    lossy = LossyConnection(connection)
    host = Host(connection.name, vars={**(variables or {}), "interlink_root": root})
    with _nothing_left(connection, root):
        driver, foreign = (ShellDriver(host, lossy, server_id) for server_id in ("contract", "foreign"))
        yield Rig(driver, FEATURES, lose=lossy.lose, foreign=foreign)
