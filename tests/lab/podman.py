"""Rootful podman with storage, configuration and network of the lab's own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab import images, leftovers, process
from tests.lab.hosts import Engine
from tests.lab.network import Namespace

# nofile and nproc: podman asks for more than a machine without CAP_SYS_RESOURCE gives.
# File locks: those in shared memory are one set for all podmans of the machine.
# No static_dir: conmon's clean-up command would not find it, and `podman wait` waits 20 s for its record.
# runc: Debian 12's crun refuses a machine with both versions of cgroups mounted.
CONTAINERS = """[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{0}/tmp"
volume_path = "{0}/volumes"
network_cmd_path = ""
[network]
network_backend = "netavark"
network_config_dir = "{0}/networks"
"""
STORAGE = """[storage]
driver = "overlay"
graphroot = "{0}/data"
runroot = "{0}/run"
"""
REGISTRIES = """unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "{0}"
insecure = true
[[registry]]
location = "{0}"
insecure = true
[[registry]]
location = "{1}"
insecure = true
"""


class Podman:
    """Podman has no daemon: its configuration is all there is to start.

    `env` makes any podman use it, in a session of the host's sshd as much as here.
    """

    def __init__(self, directory: Path, namespace: Namespace, mirror: str, private: str) -> None:
        self.directory = directory
        self.namespace = namespace
        self._registries = (mirror, private)

    @property
    def env(self) -> dict[str, str]:
        return {
            "CONTAINERS_CONF": f"{self.directory}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.directory}/storage.conf",
            "CONTAINERS_REGISTRIES_CONF": f"{self.directory}/registries.conf",
            "REGISTRY_AUTH_FILE": f"{self.directory}/auth.json",
        }

    @property
    def engine(self) -> Engine:
        return Engine("podman", tuple(self.namespace.inside("podman")), self.env)

    @property
    def ready(self) -> bool:
        return (self.directory / "ready").exists() and self.namespace.exists

    def start(self, content: Sequence[images.Image]) -> None:
        """Write the configuration and load `content`; does nothing if that is done."""
        if self.ready:
            return
        for name in ("tmp", "volumes", "networks", "data", "run"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        (self.directory / "containers.conf").write_text(CONTAINERS.format(self.directory))
        (self.directory / "storage.conf").write_text(STORAGE.format(self.directory))
        (self.directory / "registries.conf").write_text(REGISTRIES.format(*self._registries))
        (self.directory / "auth.json").write_text("{}\n")
        self.engine.run("load", stdin=images.archive([image for image in content if image.loaded]))
        (self.directory / "ready").touch()

    def close(self) -> None:
        """End its containers and delete all its files."""
        if self.ready:
            with contextlib.suppress(process.LabError, subprocess.TimeoutExpired):  # what is left is killed below
                self.engine.run("rm", "-a", "-f", "-v", "-t", "0")
        leftovers.sweep(self.directory)
