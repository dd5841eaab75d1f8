"""The one lab of this machine: parts start on first need and stay up until `inv lab.down`."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from tests.lab import images, leftovers, machine, network, place, process, sshd
from tests.lab.controlplane.cluster import Cluster, prepare, prepared_by
from tests.lab.controlplane.plane import ControlPlane
from tests.lab.docker import Dockerd
from tests.lab.hosts import PAUSE_IMAGE, SshHost
from tests.lab.hpc.cluster import HpcCluster
from tests.lab.hpc.front import Front
from tests.lab.network import Network
from tests.lab.podman import Podman
from tests.lab.postgres import Postgres
from tests.lab.registry import Registry
from tests.lab.slurm import cluster as slurm

NAMESPACES = "namespaces"  # the file of a private directory that names the namespaces of its test
DOCKER, PODMAN, SLURM = 10, 11, 12  # last bytes of the hosts' addresses; Slurm has as many as computers
HPC = 3  # likewise


class Lab:
    """The parts of one lab directory. Several processes may use it at once; a file lock keeps them apart."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or place.directory()
        self.network = Network(self.directory)
        hub, root = self.network.hub, self.directory
        docker_host = self.network.namespace("docker", DOCKER)
        podman_host = self.network.namespace("podman", PODMAN)
        self.registry = Registry(root / "registry", hub)
        self.private_registry = Registry(root / "registry-auth", hub, port=5001, auth=True)
        self.postgres = Postgres(root / "postgres", hub)
        self.dockerd = Dockerd(root / "docker", docker_host, self.registry.address)
        self.docker_sshd = sshd.Sshd(root / "docker-ssh", namespace=docker_host, env=self.dockerd.ssh_env)
        self.podman = Podman(root / "podman", podman_host, self.registry.address, self.private_registry.address)
        self.podman_sshd = sshd.Sshd(root / "podman-ssh", namespace=podman_host, env=self.podman.env)
        self.kubernetes = ControlPlane(root / "kubernetes")
        self.slurm = slurm.Cluster(root / "slurm", self._computers("", SLURM))
        self.front = Front(root / "front", self.registry, self.private_registry)
        self.hpc = HpcCluster(root / "hpc", self._computers("h", HPC), self.front)

    def _computers(self, prefix: str, first: int) -> dict[str, network.Namespace]:
        names = enumerate(slurm.COMPUTERS, start=first)
        return {name: self.network.namespace(f"{prefix}{name}", number) for number, name in names}

    @cached_property
    def images(self) -> list[images.Image]:
        return images.all_images()

    @property
    def lock_file(self) -> Path:
        return self.directory / "lock"

    def lock_of(self, part: str) -> Path:
        """The lock under which a part is started: slow ones have their own, so that other tests need not wait."""
        return self.directory / f"lock-{part}" if part in machine.SLOW else self.lock_file

    @property
    def users_file(self) -> Path:
        return self.directory / "users"

    def use(self) -> place.InUse:
        """Keep others from taking the lab down until the answer is closed or this process ends."""
        self._make_directory()
        return place.InUse(self.users_file)

    def up(self, *parts: str) -> dict[str, float]:
        """Start these parts (all by default) with what they need; returns the seconds that each took.

        Raises LabError when a package is missing or a part does not start.
        """
        wanted = machine.closure(parts or machine.PARTS)
        if why := machine.obstacle(wanted):
            raise process.LabError(why)
        self._make_directory()
        seconds = {}
        for part in wanted:
            with place.lock(self.lock_of(part)):
                begun = time.monotonic()
                self._starters[part]()
                seconds[part] = time.monotonic() - begun
        return seconds

    @property
    def _starters(self) -> dict[str, Callable[[], None]]:
        return {
            "network": self._start_network,
            "sshd": sshd.add_users,
            "images": lambda: None,
            "registry": self._start_registries,
            "docker": self._start_docker,
            "podman": self._start_podman,
            "postgres": self.postgres.start,
            "kubernetes": self._start_kubernetes,
            "slurm": lambda: self._start_slurm(self.slurm),
            "hpc": self._start_hpc,
        }

    def _start_network(self) -> None:
        self.sweep_private()
        self.network.start()

    def _start_registries(self) -> None:
        for registry in (self.registry, self.private_registry):
            if not registry.alive:
                registry.start(self.images)

    def _start_docker(self) -> None:
        self.network.ensure(self.dockerd.namespace)
        if not self.dockerd.alive:
            self.dockerd.start(self.images)
        self.docker_sshd.start()

    def _start_podman(self) -> None:
        self.network.ensure(self.podman.namespace)
        if not self.podman.ready:
            self.podman.start(self.images)
        self.podman_sshd.start()

    def _start_kubernetes(self) -> None:
        prepared = self.directory / "kubernetes/prepared"
        self.kubernetes.start()
        if not prepared.exists() or prepared.read_text() != prepared_by():
            cluster = Cluster(self.kubernetes, prepared.parent)
            prepare(cluster)
            cluster.close()
            prepared.write_text(prepared_by())

    def _start_slurm(self, cluster: slurm.Cluster) -> None:
        for computer in cluster.computers.values():
            self.network.ensure(computer)
        cluster.start()

    def _start_hpc(self) -> None:
        self.front.start()
        self._start_slurm(self.hpc)

    def status(self) -> dict[str, bool]:
        """Which parts run now."""
        return {
            "network": self.network.up,
            "registry": self.registry.alive and self.private_registry.alive,
            "docker": self.dockerd.alive and self.docker_sshd.alive,
            "podman": self.podman.ready and self.podman_sshd.alive,
            "postgres": self.postgres.alive,
            "kubernetes": self.kubernetes.alive,
            "slurm": self.slurm.alive,
            "hpc": self.hpc.alive and self.front.alive,
        }

    def down(self, force: bool = False) -> None:
        """End every part, with all containers and files; LabError while tests use it, unless `force`."""
        if not self.directory.exists():
            return
        if not machine.is_root():
            raise process.LabError("only root can take the lab down")
        with place.lock(self.lock_file):
            if not force and place.used(self.users_file):
                raise process.LabError("tests are using the lab now; --force takes it away from them")
            self.docker_sshd.close()
            self.podman_sshd.close()
            self.dockerd.close()
            self.podman.close()
            self.postgres.stop()
            self.kubernetes.kill()
            self.slurm.close()
            self.hpc.close()
            self.front.stop()
            for registry in (self.registry, self.private_registry):
                registry.stop()
            self.sweep_private(everything=True)
            self.network.stop()
            if not network.others():  # the accounts are the machine's, not this lab's
                sshd.clean_homes()
            for entry in self.directory.iterdir():
                if entry.is_dir():  # not the locks: others may be waiting for them
                    shutil.rmtree(entry)

    @property
    def docker_host(self) -> SshHost:
        """The shared docker host, as the account that may use docker."""
        return self.docker_sshd.host(
            "docker1",
            sshd.DOCKER_USER,
            self.dockerd.engine,
            interlink_driver="docker",
            interlink_engine="docker",
            interlink_pause_image=PAUSE_IMAGE,
        )

    @property
    def podman_host(self) -> SshHost:
        """The shared podman host: rootful, so the account is root; its files stay in the lab's directory."""
        return self.podman_sshd.host(
            "podman1",
            "root",
            self.podman.engine,
            interlink_driver="docker",
            interlink_engine="podman",
            interlink_pause_image=PAUSE_IMAGE,
            interlink_root=str(self.podman.directory / "interlink"),
        )

    def private_directory(self) -> Path:
        """A new directory for one test's own parts; its name tells the process that owns it."""
        base = self.directory / "t"
        base.mkdir(exist_ok=True)
        owner = process.Stat.of(os.getpid())
        assert owner is not None
        number = 0
        while True:
            path = base / f"{owner.pid}.{owner.started}.{number}"
            try:
                path.mkdir(mode=0o755)
            except FileExistsError:
                number += 1
                continue
            return path

    def sweep_private(self, everything: bool = False) -> None:
        """Remove the private parts whose owner has died without removing them (or all of them)."""
        for path in list((self.directory / "t").glob("*.*.*")):
            pid, started, *_ = path.name.split(".")
            owner = process.Stat.of(int(pid))
            if everything or owner is None or owner.started != int(started):
                self.remove_private(path)

    def remove_private(self, directory: Path) -> None:
        """End the daemons whose pid files are in a private directory, and delete it with its namespaces."""
        for pid_file in list(directory.rglob("*.pid")):
            process.Daemon(pid_file.stem, pid_file.parent).kill()
        record = directory / NAMESPACES
        names = record.read_text().split() if record.exists() else []
        leftovers.sweep(directory)
        for name in names:
            strays = network.Namespace(name, "")
            strays.empty()
            strays.delete()
        leftovers.remove_cgroups([f"slurm_{name}" for name in names])

    def _make_directory(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)  # whatever the umask: accounts of the lab pass through
