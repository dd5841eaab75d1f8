"""Our server over a site, and our kubelet: a node."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.stand import Served, serving
from tests.golden import sites
from tests.golden.directory import Golden
from tests.kubelet.nodestand import Kubelet
from tests.lab import shared
from tests.lab.controlplane.cluster import Cluster
from tests.lab.controlplane.plane import free_ports


@dataclass(frozen=True)
class Node:
    """A node that is Ready. `directory` has the logs of server and kubelet, until the block is left."""

    name: str
    cluster: Cluster
    directory: Path
    served: Served


@contextlib.contextmanager
def standing(golden: Golden, driver: str, keep: Path | None = None) -> Iterator[Node]:
    """Start everything that the cases need and give the node; nothing of it is left, but logs in `keep`."""
    lab = shared.Lab()
    with contextlib.closing(lab.use()), contextlib.ExitStack() as stack:
        lab.up("network", "sshd", "kubernetes")
        directory = lab.private_directory()
        stack.callback(lab.remove_private, directory)
        if keep is not None:
            stack.callback(_save, directory, keep)
        cluster = Cluster(lab.kubernetes, directory)
        stack.callback(cluster.close)
        name = f"golden-{os.getpid()}"
        hosts = stack.enter_context(sites.SITES[driver](lab, golden, directory))
        inventory = {host: {**variables, "interlink_node": name} for host, variables in hosts.items()}
        served = stack.enter_context(serving(directory, inventory))
        kubelet = Kubelet(directory, cluster.kubeconfig, _flags(served))
        kubelet.start()
        stack.callback(_forget, cluster, name)
        stack.callback(kubelet.stop)
        cluster.wait_for(f"/api/v1/nodes/{name}", _is_ready, 120)
        yield Node(name, cluster, directory, served)


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
