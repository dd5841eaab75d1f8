"""The driver on this machine against the lab's dockerd: fast to start, and open to look at from outside."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlink.remote.local import LocalConnection
from tests.docker.support import Place, make
from tests.lab.hosts import PAUSE_IMAGE, Engine, SshHost


@pytest.fixture
def place(
    docker_host: SshHost, server_id: str, private_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A driver of the test's own on the shared dockerd."""
    assert docker_host.engine is not None
    with local_place(docker_host.engine, private_directory, server_id, monkeypatch) as made:
        yield made


@contextlib.contextmanager
def local_place(engine: Engine, directory: Path, server: str, patch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A driver by LocalConnection on an engine; its supervisor is ended afterwards."""
    for name, value in engine.env.items():
        patch.setenv(name, value)
    with contextlib.closing(LocalConnection("here")) as connection:
        made = make(connection, engine, directory / "il", server, interlink_pause_image=PAUSE_IMAGE)
        yield made
    pid = made.supervisor()
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
