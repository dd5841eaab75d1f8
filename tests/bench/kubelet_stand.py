"""A control plane of a benchmark's own with a kubelet's process and its server, and KWOK beside it."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import re
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.bench.measure import wait
from tests.bench.stand import PATIENCE, Served, serving
from tests.kubelet.nodestand import Kubelet
from tests.lab import process, shared
from tests.lab.controlplane import cluster as clusters
from tests.lab.controlplane import others
from tests.lab.controlplane.cluster import ApiFailure, Cluster
from tests.lab.controlplane.plane import ControlPlane, free_ports

Json = dict[str, Any]
THREADS = 8  # that create pods
POLL = 0.1
_numbers = itertools.count()


@dataclass
class Scene:
    """A namespace's worth of pods on one node, from the creates to the last that runs."""

    bound: float  # seconds from the first create until the scheduler has bound all
    running: float


@dataclass
class Plane:
    """The control plane, and what is done to it."""

    cluster: Cluster
    namespaces: list[str] = field(default_factory=list)

    def namespace(self) -> str:
        name = f"bench-{next(_numbers)}"
        self.cluster.make_namespace(name)
        self.namespaces.append(name)
        return name

    def create(self, namespace: str, manifests: list[Json]) -> None:
        """Create pods as fast as the API server takes them."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda manifest: self.cluster.create(path, manifest), manifests):
                pass

    def play(self, manifests: list[Json]) -> tuple[str, Scene]:
        """Create pods in a namespace of their own, and see them bound and running."""
        namespace = self.namespace()
        begun = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            creating = pool.submit(self.create, namespace, manifests)
            bound = self._until(namespace, "spec.nodeName=", len(manifests), begun, creating.done)
            running = self._until(namespace, "status.phase=Pending", len(manifests), begun, creating.done)
            creating.result()
        return namespace, Scene(bound, running)

    def _until(self, namespace: str, selector: str, number: int, begun: float, created: Any) -> float:
        """Return when no pod is left that the selector finds, in seconds since `begun`."""
        path = f"/api/v1/namespaces/{namespace}/pods?limit=1&fieldSelector={selector}"
        wait(created, f"{number} pods are created", PATIENCE, POLL)
        wait(lambda: not self.cluster.get(path)["items"], f"no pod is left with {selector}", PATIENCE, POLL)
        return time.monotonic() - begun

    def remove(self, namespace: str) -> None:
        """Delete pods as a user does, and wait until none is left."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        try:
            self.cluster.delete(path, gracePeriodSeconds=1)
        except ApiFailure as error:
            if error.status != HTTPStatus.GATEWAY_TIMEOUT:  # so many take a slow API server more than its minute
                raise
            self.cluster.delete(path, gracePeriodSeconds=1)
        wait(lambda: not self.cluster.get(f"{path}?limit=1")["items"], "the pods are gone", PATIENCE, POLL)


@contextmanager
def plane() -> Iterator[Plane]:
    """Have a control plane that nobody else uses, in the lab's directory; nothing of it is left."""
    lab = shared.Lab()
    with contextlib.closing(lab.use()), tempfile.TemporaryDirectory(prefix="ilb") as scratch:
        lab.up("network")
        directory = lab.private_directory()
        made = ControlPlane(directory / "k")
        cluster = Cluster(made, Path(scratch))
        try:
            made.start()
            clusters.prepare(cluster)
            yield Plane(cluster)
        finally:
            cluster.close()
            made.kill()
            lab.remove_private(directory)


@dataclass
class Node:
    """A virtual node: its kubelet's process, and the server's."""

    name: str
    plane: Plane
    served: Served
    kubelet: Kubelet
    port: int

    @property
    def pid(self) -> int:
        assert self.kubelet.process is not None
        return self.kubelet.process.pid

    def pod(self, name: str, *, annotations: Mapping[str, str] | None = None, **spec: Any) -> Json:
        """Return a pod that the scheduler must bind to this node."""
        return pinned(name, self.name, annotations=annotations, **spec)

    def requests(self) -> Counter[str]:
        """Return how many requests of each kind the kubelet has sent to the API server."""
        text = self._metrics()
        shown = r'^interlink_kubelet_api_requests_total\{method="(\w+)",resource="([^"]+)"\} (\d+)$'
        return Counter({f"{verb} {what}": int(n) for verb, what, n in re.findall(shown, text, re.MULTILINE)})

    def _metrics(self) -> str:
        pair = self.plane.cluster.admin_client
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is self-signed
        context.load_cert_chain(pair.certificate, pair.key)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()


def pinned(name: str, node: str, *, annotations: Mapping[str, str] | None = None, **spec: Any) -> Json:
    container = {"name": "main", "image": "busybox:1.36", "command": ["sleep", "3600"]}
    full = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    metadata = {"name": name, "annotations": dict(annotations or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**full, **spec}}


@contextmanager
def node(on: Plane, directory: Path, host: Mapping[str, Any], name: str = "vk-bench") -> Iterator[Node]:
    """Have a server over one host, and a kubelet that makes it a node."""
    directory.mkdir(parents=True, exist_ok=True)
    with serving(directory, {"host1": on_node(host, name)}) as served, kubelet(on, directory, served, name) as made:
        yield made


def on_node(host: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a host's variables with those that make it a node of any size."""
    return {**host, "interlink_node": name, "interlink_capacity": {"cpu": "4000", "memory": "8Ti", "pods": "20000"}}


@contextmanager
def kubelet(on: Plane, directory: Path, served: Served, *names: str) -> Iterator[Node]:
    """Have a kubelet serve all nodes of a server; the answer is the first of these."""
    port = free_ports("kubelet")["kubelet"]
    argv = [f"--server={served.url}", f"--listen=127.0.0.1:{port}", "--self-signed", "--log-level=warning"]
    process_of = Kubelet(directory, on.cluster.service_account, argv).start()
    try:
        for name in names:
            wait(lambda name=name: _is_ready(on, name), f"the node {name} is ready", PATIENCE)  # type: ignore[misc]
        yield Node(names[0], on, served, process_of, port)
    finally:
        process_of.stop()


@contextmanager
def kwok_node(on: Plane, directory: Path, name: str = "kwok-bench") -> Iterator[str]:
    """Have KWOK simulate a node."""
    directory.mkdir(parents=True, exist_ok=True)
    daemon = process.Daemon("kwok", directory)
    kubeconfig = directory / "kwok.kubeconfig"
    kubeconfig.write_text(json.dumps(json.loads(on.cluster.kubeconfig.read_text())))
    labels = {"kubernetes.io/hostname": name, "type": "kwok"}
    on.cluster.create("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})
    program, stages = others.kwok(), others.kwok_stages()
    flags = [f"--kubeconfig={kubeconfig}", f"--config={stages}", f"--manage-single-node={name}"]
    daemon.start(
        [str(program), *flags, "--node-lease-duration-seconds=40"],
        env={"HOME": str(directory), "KWOK_WORKDIR": str(directory)},
    )
    try:
        wait(lambda: _is_ready(on, name) or _ended(daemon), "KWOK's node is ready", PATIENCE)
        yield name
    finally:
        daemon.stop()
        with contextlib.suppress(ApiFailure):
            on.cluster.delete(f"/api/v1/nodes/{name}")


def _ended(daemon: process.Daemon) -> bool:
    """Return False; LabError with the end of its log if it has ended."""
    if not daemon.alive:
        raise process.LabError(f"{daemon.name} has ended: {daemon.log.read_text()[-1000:]}")
    return False


def _is_ready(on: Plane, name: str) -> bool:
    try:
        found = on.cluster.get(f"/api/v1/nodes/{name}")
    except ApiFailure as error:
        if error.status != 404:
            raise
        return False
    conditions = (found.get("status") or {}).get("conditions") or []
    tainted = [taint["key"] for taint in found["spec"].get("taints") or []]
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return ready and "node.kubernetes.io/not-ready" not in tainted


def pids_of(cluster: Cluster) -> list[int]:
    """Return the control plane's processes."""
    found = [component.daemon.stat() for component in cluster.plane.components]
    return [stat.pid for stat in found if stat is not None and stat.pid != os.getpid()]
