"""The docker driver on the lab's engine by a connection that counts what it is asked to run."""

from __future__ import annotations

import os
import threading
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlink.drivers.docker import DockerDriver
from interlink.model.host import Host
from interlink.remote.connection import Connection, Result, Stream
from tests.contract.support import Rig, Run
from tests.lab.hosts import TEST_IMAGE, Engine

FEATURES = frozenset({"host", "processes", "images", "restarts", "volumes", "mounts", "odd-env"})


@dataclass
class CountingConnection:
    """Counts the commands and streams that go to the host; `lose` cuts the next one after so many seconds."""

    inner: Connection
    commands: int = 0
    cut_after: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        return self.inner.name

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 240.0, limit: int = 64 << 20) -> Result:
        with self._lock:
            self.commands += 1
            cut, self.cut_after = self.cut_after, None
        return self.inner.run(script, stdin=stdin, timeout=cut or timeout, limit=limit)

    def stream(self, script: str, *, timeout: float = 120.0) -> Stream:
        with self._lock:
            self.commands += 1
        return self.inner.stream(script, timeout=timeout)

    def close(self) -> None:
        self.inner.close()


@dataclass
class Place:
    """One driver with what a test wants to look at from outside."""

    driver: DockerDriver
    connection: CountingConnection
    engine: Engine
    directory: Path
    server: str

    @property
    def rig(self) -> Rig:
        return Rig(self.driver, FEATURES, image=TEST_IMAGE)

    def containers(self, uid: str) -> list[str]:
        """Names of all containers of a pod."""
        ids = self.engine.containers(f"label=interlink.eu/uid={uid}")
        return sorted(self.engine.run("inspect", "-f", "{{.Name}}", *ids).split()) if ids else []

    def supervisor(self) -> int:
        """The process id of the supervisor that has said so last; 0 if there was none."""
        file = self.directory / self.server / "supervisor"
        return int(file.read_text().split()[0]) if file.exists() else 0


def make(connection: Connection, engine: Engine, directory: Path, server: str, **variables: Any) -> Place:
    counting = CountingConnection(connection)
    host = Host("here", vars={"interlink_root": str(directory), "interlink_engine": engine.name, **variables})
    return Place(DockerDriver(host, counting, server), counting, engine, directory, server)


def fetch(address: str, port: int) -> bytes:
    """Return what a web server answers, nothing while it does not."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def group(pid: int) -> list[str]:
    """Return the states of the living processes of a process group."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == pid and fields[0] != "Z":
                found.append(entry)
    return found


def host_events(run: Run) -> list[tuple[str, str, str]]:
    """Return reason, container and message of what the host has told of a pod, oldest first."""
    assert isinstance(run.driver, DockerDriver)
    feed = run.driver._connection.run(f"cat {run.driver._place.directory}/feed").text
    lines = [line.split("\t") for line in feed.splitlines() if line.startswith(run.uid)]
    return [(reason, container, message) for _, _, _, reason, container, message in lines]
