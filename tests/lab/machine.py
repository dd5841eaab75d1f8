"""What the lab needs of the machine: root and Debian packages, all named here."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab import process
from tests.lab.controlplane import programs
from tests.lab.hpc import root

# part -> {program or file that shows the package is there: package}
PACKAGES: dict[str, dict[str, str]] = {
    "network": {"ip": "iproute2", "iptables": "iptables", "nsenter": "util-linux"},
    "sshd": {"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "tini": "tini"},
    "images": {"/bin/busybox": "busybox-static", "catatonit": "catatonit"},
    "registry": {"docker-registry": "docker-registry"},
    "docker": {"dockerd": "docker.io", "containerd": "containerd", "docker-compose": "docker-compose"},
    "podman": {"podman": "podman", "/usr/lib/podman/netavark": "netavark", "runc": "runc"},
    "postgres": {"/usr/lib/postgresql": "postgresql"},
    "kubernetes": {"etcd": "etcd-server"},
    "slurm": {
        "slurmctld": "slurmctld",
        "slurmd": "slurmd",
        "sbatch": "slurm-client",
        "munged": "munge",
        "unshare": "util-linux",
        "tsocks": "tsocks",
    },
    "hpc": {"debootstrap": "debootstrap"},
}
# part -> the parts below it
NEEDS: dict[str, Sequence[str]] = {
    "network": (),
    "sshd": (),
    "images": (),
    "registry": ("network", "images"),
    "docker": ("network", "sshd", "registry"),
    "podman": ("network", "sshd", "registry"),
    "postgres": ("network",),
    "kubernetes": (),
    "slurm": ("network", "sshd"),
    "hpc": ("network", "sshd", "registry"),
}
PARTS = tuple(PACKAGES)
SLOW = ("kubernetes", "hpc")  # started by the first test that needs it, while others go on
QUICK = tuple(part for part in PARTS if part not in SLOW)


def is_root() -> bool:
    return os.geteuid() == 0


def closure(parts: Sequence[str]) -> list[str]:
    """The parts and all they need, lowest first."""
    wanted: list[str] = []
    for part in parts:
        wanted += [p for p in [*closure(NEEDS[part]), part] if p not in wanted]
    return wanted


def missing(parts: Sequence[str]) -> list[str]:
    """The Debian packages that are not there."""
    absent = [
        package
        for part in closure(parts)
        for probe, package in PACKAGES[part].items()
        if not (Path(probe).exists() if probe.startswith("/") else shutil.which(probe, path=process.search_path()))
    ]
    return sorted(set(absent))


def obstacle(parts: Sequence[str]) -> str:
    """Why these parts cannot run here and what to do about it, or ""."""
    if absent := missing(parts):
        return f"install: apt-get install {' '.join(absent)}"
    if "kubernetes" in closure(parts) and (why := programs.obstacle()):
        return why
    if "hpc" in closure(parts) and not root.made():
        return "the HPC root is not made: .venv/bin/inv lab.up --parts hpc"
    if not is_root():
        return "the lab needs root: sudo .venv/bin/inv test"
    return ""


def install(parts: Sequence[str] = PARTS) -> list[str]:
    """Install what is missing by apt-get, without starting any of it, and build; returns what is new."""
    absent = missing(parts)
    if absent:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with _services_denied():
            for command in (["update"], ["install", "-y", "--no-install-recommends", *absent]):
                subprocess.run(["apt-get", "-q", *command], env=env, stdin=subprocess.DEVNULL, check=True)
    wanted = closure(parts)
    return [
        *absent,
        *(programs.build() if "kubernetes" in wanted else []),
        *(root.build() if "hpc" in wanted else []),
    ]


@contextlib.contextmanager
def _services_denied() -> Iterator[None]:
    """Keep Debian from starting the daemons of new packages: they would listen on every address."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
