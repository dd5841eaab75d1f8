"""A pod's bundle on disk, with a stand-in for its runtime that writes down how it is called."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlink.bundle import job, tar
from interlink.bundle.site import Site
from interlink.model.pod import Pod, PodRequest

STAND_IN = '#!/bin/sh\nprintf "%s\\0" "$@" >"$IL_DIR/argv"\ncat /proc/self/environ >"$IL_DIR/environ"\n'


def pod(container: dict[str, Any] | None = None, **spec: Any) -> PodRequest:
    main = {"name": "main", "image": "busybox:1.36", **(container or {})}
    raw = {"metadata": {"uid": "u-1", "name": "p", "namespace": "n"}, "spec": {"containers": [main], **spec}}
    return PodRequest(Pod(raw))


class Bundle:
    """A bundle on disk; `ready` is what having its image ready has left: texts by the file's ending."""

    def __init__(self, path: Path, request: PodRequest, runtime: str, ready: Mapping[str, str], **site: Any) -> None:
        self.path = path / "pods" / "u-1"
        self.path.mkdir(parents=True)
        self.program = path / runtime
        self.program.write_text(STAND_IN)
        self.program.chmod(0o755)
        for entry in job.compile_pod(request, Site(runtime=runtime, program=str(self.program), **site)):
            place = self.path / entry.path
            if isinstance(entry, tar.File):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(entry.data)
            elif isinstance(entry, tar.Directory):
                place.mkdir(parents=True, exist_ok=True)
        for name, text in ready.items():
            (self.path / f"image/main.{name}").write_text(f"{text}\n")

    def started(self, **variables: str) -> list[str]:
        """Start the container and return what the runtime was called with."""
        settings = {
            "IL_DIR": str(self.path),
            "IL_VOLUMES": f"{self.path}/volumes",
            "IL_MEMORY": f"{self.path}/memory",
            "IL_SCRATCH": f"{self.path}/scratch",
            "IL_POD_IP": "192.0.2.1",
            "IL_HOST_IP": "192.0.2.2",
            "IL_ATTEMPT": "2",
            "IL_CONTAINER": "u-1/main/2",
        }
        env = {"PATH": os.environ["PATH"], **settings, **variables}
        subprocess.run(["sh", "start/main"], cwd=self.path, env=env, check=True)
        return (self.path / "argv").read_text().split("\0")[:-1]

    @property
    def environ(self) -> list[str]:
        return (self.path / "environ").read_text().split("\0")


def flags(argv: list[str], name: str) -> list[str]:
    return [argv[at + 1] for at, word in enumerate(argv) if word == name]
