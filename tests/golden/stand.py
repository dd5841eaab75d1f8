"""A docker host of its own with a registry on its loopback, our server over it, and our kubelet: a node."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.stand import Served, _remove, serving
from tests.golden import images
from tests.golden.directory import Golden
from tests.kubelet.nodestand import Kubelet
from tests.lab import shared
from tests.lab.controlplane.cluster import Cluster
from tests.lab.controlplane.plane import free_ports
from tests.lab.docker import Dockerd
from tests.lab.hosts import PAUSE_IMAGE
from tests.lab.registry import Registry
from tests.lab.sshd import DOCKER_USER, Sshd

DNS = "10.96.0.10"  # the cluster's, where the cases were recorded
PORT = 5000  # where the cases look for the registry, on the loopback of the host


@dataclass(frozen=True)
class Node:
    """A node that is Ready. `directory` has the logs of server and kubelet, until the block is left."""

    name: str
    cluster: Cluster
    directory: Path
    dockerd: Dockerd
    served: Served


@contextlib.contextmanager
def standing(golden: Golden, keep: Path | None = None) -> Iterator[Node]:
    """Start everything that the cases need and give the node; nothing of it is left, but logs in `keep`."""
    lab = shared.Lab()
    with contextlib.closing(lab.use()), contextlib.ExitStack() as stack:
        lab.up("network", "sshd", "kubernetes")
        directory = lab.private_directory()
        stack.callback(lab.remove_private, directory)
        if keep is not None:
            stack.callback(_save, directory, keep)
        dockerd = stack.enter_context(_engine(lab, golden, directory))
        cluster = Cluster(lab.kubernetes, directory)
        stack.callback(cluster.close)
        name = f"golden-{os.getpid()}"
        served = stack.enter_context(_server(dockerd, directory, name))
        kubelet = Kubelet(directory, cluster.kubeconfig, _flags(served))
        kubelet.start()
        stack.callback(_forget, cluster, name)
        stack.callback(kubelet.stop)
        cluster.wait_for(f"/api/v1/nodes/{name}", _is_ready, 120)
        yield Node(name, cluster, directory, dockerd, served)


@contextlib.contextmanager
def _engine(lab: shared.Lab, golden: Golden, directory: Path) -> Iterator[Dockerd]:
    store = images.cache(golden)
    store.mkdir(parents=True, exist_ok=True)
    namespace = lab.network.claim()
    (directory / shared.NAMESPACES).write_text(f"{namespace.name}\n")
    registry = Registry(directory / "registry", namespace, PORT, data=store / "registry", everywhere=True)
    dockerd = Dockerd(directory / "docker", namespace, f"127.0.0.1:{PORT}")
    try:
        registry.start(())
        dockerd.start([image for image in lab.images if PAUSE_IMAGE in image.loaded])
        images.make(golden, dockerd, store)
        yield dockerd
    finally:
        dockerd.close()
        registry.stop()


@contextlib.contextmanager
def _server(dockerd: Dockerd, directory: Path, node: str) -> Iterator[Served]:
    sshd = Sshd(directory / "ssh", namespace=dockerd.namespace, env=dockerd.ssh_env).start()
    root = directory / "root"
    root.mkdir(mode=0o700)
    owner = pwd.getpwnam(DOCKER_USER)
    os.chown(root, owner.pw_uid, owner.pw_gid)
    host = sshd.host("docker1", DOCKER_USER, dockerd.engine)
    variables = {
        **host.variables,
        "interlink_driver": "docker",
        "interlink_engine": "docker",
        "interlink_pause_image": PAUSE_IMAGE,
        "interlink_root": str(root),
        "interlink_node": node,
        "interlink_dns": [DNS],
    }
    server = ""
    try:
        with serving(directory, {"docker1": variables}) as served:
            server = served.server_id
            yield served
    finally:
        _remove(dockerd.engine, server, root)
        sshd.close()


def _flags(served: Served) -> list[str]:
    port = free_ports("kubelet")["kubelet"]
    return [f"--server={served.url}", f"--listen=127.0.0.1:{port}", "--address=127.0.0.1", "--self-signed"]


def _is_ready(node: dict[str, object]) -> bool:
    status = node.get("status")
    listed = status.get("conditions") if isinstance(status, dict) else None
    return any(item["type"] == "Ready" and item["status"] == "True" for item in listed or ())


def _forget(cluster: Cluster, name: str) -> None:
    path = f"/api/v1/nodes/{name}"
    if cluster.exists(path):
        cluster.delete(path)


def _save(directory: Path, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    for name in ("serve.log", "kubelet.log"):
        if (directory / name).exists():
            (keep / name).write_bytes((directory / name).read_bytes())
