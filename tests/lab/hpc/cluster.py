"""A Slurm cluster of Debian sid with Apptainer; without Slurm, its login nodes are workstations."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab.hosts import SshHost
from tests.lab.hpc.computer import RootedComputer
from tests.lab.hpc.front import Front
from tests.lab.hpc.root import Overlay
from tests.lab.network import Namespace
from tests.lab.slurm.cluster import Cluster, Settings
from tests.lab.slurm.computer import Computer
from tests.lab.slurm.settings import LOGINS
from tests.lab.sshd import PLAIN_USER

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class HpcCluster(Cluster):
    """Its computers share one root; image names of any registry are found in the lab's own by `front`."""

    def __init__(
        self, directory: Path, namespaces: Mapping[str, Namespace], front: Front, settings: Settings | None = None
    ) -> None:
        super().__init__(directory, namespaces, settings)
        self.front = front
        self.overlay = Overlay(directory)

    def _computer(self, space: Namespace) -> Computer:
        return RootedComputer(space.name, space.address, self.directory)

    @property
    def limits_memory(self) -> bool:
        return False  # Slurm of sid wants version 2 of cgroups, and systemd

    @property
    def _cgroup_conf(self) -> str:
        return "CgroupPlugin=disabled\n"

    @property
    def alive(self) -> bool:
        return self.overlay.mounted and super().alive

    def _write(self) -> None:
        super()._write()
        if self.overlay.mounted:
            return
        self._make_fuse()
        self.overlay.mount()
        self.overlay.write("/etc/hosts", (self.directory / "hosts").read_text())
        self.overlay.write("/etc/resolv.conf", f"nameserver {self.front.address}\n")
        self.overlay.write(CERTIFICATES, self.overlay.read(CERTIFICATES) + self.front.authority.read_text())
        account = pwd.getpwnam(PLAIN_USER)
        ids = f"{account.pw_uid}:{account.pw_gid}"
        entry = f"{PLAIN_USER}:x:{ids}::/home/{PLAIN_USER}:/bin/bash\n"
        self.overlay.write("/etc/passwd", self.overlay.read("/etc/passwd") + entry)
        self.overlay.write("/etc/group", self.overlay.read("/etc/group") + f"{PLAIN_USER}:x:{account.pw_gid}:\n")
        shadow = f"{PLAIN_USER}:*:20000:0:99999:7:::\n"
        self.overlay.write("/etc/shadow", self.overlay.read("/etc/shadow") + shadow, 0o640)
        for name in ("outside", "run/sshd", str(self.directory).lstrip("/")):
            (self.overlay.path / name).mkdir(mode=0o755, parents=True, exist_ok=True)

    def _make_fuse(self) -> None:
        """A /dev/fuse for everyone, as udev makes it: this machine may have none that a user may open."""
        device = self.directory / "fuse"
        if not device.exists():
            os.mknod(device, stat.S_IFCHR, os.makedev(10, 229))
            device.chmod(0o666)

    @property
    def variables(self) -> dict[str, Any]:
        return {**super().variables, "interlink_cluster": "hpc", "interlink_runtime": "apptainer"}

    @property
    def workstation(self) -> SshHost:
        """The same computer for whoever does not use its Slurm."""
        extra = {"interlink_driver": "shell", "interlink_runtime": "apptainer"}
        return self.logins[LOGINS[0]].host("workstation", PLAIN_USER, None, **extra)
