"""Bundles unpacked and supervised by hand, under any of the shells that a host may have."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlink.bundle import job, tar
from interlink.drivers.supervised import records
from interlink.model.pod import Pod, PodRequest
from interlink.model.status import PodStatus

SHELLS = {"dash": ["dash"], "bash": ["bash"], "bash --posix": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
DEADLINE = 240.0


def box(script: str, name: str = "main", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "none", "command": ["sh", "-c", script], **more}


def request(*containers: dict[str, Any], **spec: Any) -> PodRequest:
    raw = {
        "metadata": {"name": "p", "namespace": "shell", "uid": str(uuid.uuid4())},
        "spec": {"restartPolicy": "Never", "containers": list(containers), **spec},
    }
    return PodRequest(Pod(raw))


@dataclass
class Supervised:
    """A pod whose supervisor is a child of the test."""

    base: Path
    pod: Pod
    process: subprocess.Popen[bytes]

    @property
    def directory(self) -> Path:
        return self.base / "pods" / self.pod.uid

    def status(self) -> PodStatus:
        return self._reading().pods[self.pod.uid]

    def events(self, name: str = "main") -> list[tuple[str, str]]:
        """Return reason and message of what was told of a container."""
        told = self._reading().records[self.pod.uid].events
        return [(reason, message) for _, _, _, reason, about, message in told if about == name]

    def _reading(self) -> records.Reading:
        return records.read((self.directory / "facts").read_text() + (self.directory / "status").read_text())

    def log(self, name: str = "main", attempt: int = 0) -> str:
        return (self.directory / "logs" / f"{name}.{attempt}").read_text()

    def tell(self, line: str) -> None:
        """Write into the supervisor's fifo."""
        with (self.directory / "events").open("r+b", buffering=0) as events:
            events.write(line.encode() + b"\n")

    def until(self, text: str, name: str = "main", attempt: int = 0) -> None:
        """Wait until a log holds a text."""
        end = time.monotonic() + DEADLINE
        while text not in (self.log(name, attempt) if self._has(name, attempt) else ""):
            assert time.monotonic() < end, f"{text!r} is not in the log of {name}"
            time.sleep(0.05)

    def _has(self, name: str, attempt: int) -> bool:
        return (self.directory / "logs" / f"{name}.{attempt}").exists()

    def end(self) -> int:
        return self.process.wait(DEADLINE)


@contextmanager
def supervised(shell: Sequence[str], base: Path, wanted: PodRequest) -> Iterator[Supervised]:
    """Unpack a pod below `base` and start its supervisor."""
    directory = base / "pods" / wanted.pod.uid
    directory.mkdir(parents=True)
    (base / "gone").mkdir(exist_ok=True)
    (base / "feed").touch()
    with tarfile.open(fileobj=io.BytesIO(tar.pack(job.compile_pod(wanted)))) as archive:
        archive.extractall(directory)
    argv = ["setsid", "--wait", *shell, str(directory / "supervisor.sh"), str(directory)]
    with (directory / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    made = Supervised(base, wanted.pod, process)
    try:
        yield made
    finally:
        if process.poll() is None:
            made.tell("stop 0")
            process.wait(DEADLINE)
        shutil.rmtree(directory)
