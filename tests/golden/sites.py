"""What the cases run on: hosts of our inventory, with the images of the cases."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.bench import usage
from tests.golden import engine, images
from tests.golden.directory import Golden
from tests.lab import process, shared
from tests.lab.hosts import PAUSE_IMAGE
from tests.lab.hpc.cluster import HpcCluster
from tests.lab.hpc.front import Front
from tests.lab.slurm.cluster import COMPUTERS
from tests.lab.sshd import DOCKER_USER, Sshd

DNS = "10.96.0.10"  # the cluster's, where the cases were recorded

Hosts = Mapping[str, Mapping[str, Any]]  # the variables of each host, by its name
Site = Callable[[shared.Lab, Golden, Path], AbstractContextManager[Hosts]]


@contextlib.contextmanager
def docker(lab: shared.Lab, golden: Golden, directory: Path) -> Iterator[Hosts]:
    """A docker host whose engine finds the images in a registry on its own loopback."""
    namespace = engine.claim(lab, directory)
    with (
        engine.registry(golden, directory, namespace),
        engine.daemon(lab, golden, directory, namespace) as dockerd,
    ):
        sshd = Sshd(directory / "ssh", namespace=namespace, env=dockerd.ssh_env).start()
        root = directory / "root"
        root.mkdir(mode=0o700)
        owner = pwd.getpwnam(DOCKER_USER)
        os.chown(root, owner.pw_uid, owner.pw_gid)
        host = sshd.host("docker1", DOCKER_USER, dockerd.engine)
        own = {"interlink_driver": "docker", "interlink_engine": "docker", "interlink_pause_image": PAUSE_IMAGE}
        try:
            yield {host.name: {**host.variables, **own, "interlink_root": str(root), "interlink_dns": [DNS]}}
        finally:
            process.end(usage.working_in(root), "the supervisor")  # which would start containers again
            sshd.close()


@contextlib.contextmanager
def slurm(lab: shared.Lab, golden: Golden, directory: Path) -> Iterator[Hosts]:
    """A Slurm cluster whose Apptainer finds every name of an image in the registry of the cases."""
    namespace = engine.claim(lab, directory)
    with engine.registry(golden, directory, namespace) as registry:
        if not images.made(golden):
            with engine.daemon(lab, golden, directory, namespace):
                pass
        front = Front(directory / "front", registry, registry)
        cluster = HpcCluster(directory / "hpc", {name: engine.claim(lab, directory) for name in COMPUTERS}, front)
        front.start()
        try:
            cluster.start()
            login = cluster.login("login1")
            yield {login.name: login.variables}
        finally:
            cluster.close()
            front.stop()


SITES: Mapping[str, Site] = {"docker": docker, "slurm": slurm}  # by the runner's name for what they cannot honour
NEEDS: Mapping[str, tuple[str, ...]] = {
    "docker": ("docker", "registry", "kubernetes"),
    "slurm": ("docker", "registry", "kubernetes", "slurm", "hpc"),
}
