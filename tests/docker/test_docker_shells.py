"""The scripts on hosts whose shell and tools are others: everything by busybox, or bash called sh."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlink.model.status import Phase
from interlink.remote import shell
from interlink.remote.connection import Connection, Result, Stream
from interlink.remote.local import LocalConnection
from tests.contract.support import Box, container, ended
from tests.docker.support import Place, make
from tests.lab import process
from tests.lab.hosts import PAUSE_IMAGE, SshHost

pytestmark = pytest.mark.lab


@dataclass
class OtherShell:
    """A connection to this machine as if `directory` came first in the account's PATH, and its sh were the login's."""

    inner: Connection
    directory: Path
    name: str = "other"

    def _wrapped(self, script: str) -> str:
        path = f'PATH={shell.quote(str(self.directory))}:"$PATH"; export PATH; '
        return path + shell.join(["exec", str(self.directory / "sh"), "-c", script])

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 240.0, limit: int = 64 << 20) -> Result:
        return self.inner.run(self._wrapped(script), stdin=stdin, timeout=timeout, limit=limit)

    def stream(self, script: str, *, timeout: float = 120.0) -> Stream:
        return self.inner.stream(self._wrapped(script), timeout=timeout)

    def close(self) -> None:
        self.inner.close()


def _busybox(directory: Path) -> None:
    """As on a host that has nothing but busybox, beside the engine."""
    subprocess.run([process.find("busybox"), "--install", "-s", str(directory)], check=True)


def _bash(directory: Path) -> None:
    (directory / "sh").symlink_to(process.find("bash"))


@pytest.fixture(params=[_busybox, _bash], ids=["busybox", "bash"])
def elsewhere(
    request: pytest.FixtureRequest,
    docker_host: SshHost,
    private_directory: Path,
    server_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    assert docker_host.engine is not None
    for name, value in docker_host.engine.env.items():
        monkeypatch.setenv(name, value)
    tools = private_directory / "bin"
    tools.mkdir()
    request.param(tools)
    with contextlib.closing(OtherShell(LocalConnection("here"), tools)) as connection:
        root = private_directory / "il"
        place = make(connection, docker_host.engine, root, server_id, interlink_pause_image=PAUSE_IMAGE)
        yield place
    if pid := place.supervisor():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def test_a_whole_life(elsewhere: Place) -> None:
    """Inits, a sidecar, a restart, files, an emptyDir, a pull, logs, the feed, a delete with grace."""
    volumes = [{"name": "e", "emptyDir": {}}, {"name": "cm", "configMap": {"name": "cm"}}]
    mounts = {"volumeMounts": [{"name": "e", "mountPath": "/e"}, {"name": "cm", "mountPath": "/cm"}]}
    inits = [
        Box("cat /cm/k > /e/k", name="i", more=mounts),
        Box("trap 'exit 0' TERM; while :; do sleep 0.1; done", name="s", more={"restartPolicy": "Always"}),
    ]
    main = Box("cat /e/k; [ -e /e/again ] || { touch /e/again; exit 7; }", more={**mounts, "imagePullPolicy": "Always"})
    last = Box("trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done", name="last")
    config = {"metadata": {"name": "cm"}, "data": {"k": "it's\n"}}
    with (
        elsewhere.driver.changes() as feed,
        elsewhere.rig.run(
            main, last, inits=inits, restartPolicy="OnFailure", volumes=volumes, configmaps=[config]
        ) as run,
    ):
        assert any(run.uid in uids for uids in feed)
        run.until(lambda s: container(s, "main").restart_count == 1, "a restart")
        run.logged(b"it's\n", "main")
        run.logged(b"up\n", "last")
        assert run.log("last", tail=1) == b"up\n"
        final = run.delete(grace=20)
        assert final is not None
        assert (final.phase, ended(final, "last").exit_code) == (Phase.FAILED, 3)
        assert elsewhere.containers(run.uid) == []
