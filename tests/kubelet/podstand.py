"""The kubelet's pod part over a real control plane and a real server, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from interlink.client.aio import AioTransport
from interlink.kubelet.backend import Backend
from interlink.kubelet.backend_v1 import V1Backend
from interlink.kubelet.cache import Cache
from interlink.kubelet.events import Recorder
from interlink.kubelet.kube import Kube
from interlink.kubelet.pods import Pods
from interlink.kubelet.references import Resolver, Site
from interlink.kubelet.samecluster import cluster_uid
from interlink.kubelet.submitting import Place, Tools
from interlink.kubelet.tokens import Tokens
from tests.kubelet.objects import stub_node
from tests.lab.controlplane.cluster import ApiFailure, Cluster
from tests.lab.process import clean_environment, wait_until

T = TypeVar("T")
Json = dict[str, Any]
DEADLINE = 240.0


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = DEADLINE) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class Kubelet:
    """A kubelet without its node: whoever uses it has registered one."""

    loop: Loop
    kubeconfig: str
    node: str
    make: Callable[[], Backend]
    allocatable: dict[str, str] = field(default_factory=lambda: {"cpu": "4", "memory": "8Gi"})
    pods: Pods = field(init=False)
    kube: Kube = field(init=False)
    backend: Backend = field(init=False)
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def start(self) -> None:
        self.loop.run(self._start())

    def stop(self) -> None:
        """End as a killed process does: nothing is finished."""
        self.loop.run(self._stop())

    async def _start(self) -> None:
        self.kube = await Kube.connect(self.kubeconfig)
        self.backend = self.make()
        recorder, tokens = Recorder(self.kube, self.node), Tokens(self.kube)
        site = Site(await cluster_uid(self.kube), self.allocatable, self.backend.fills_addresses)
        tools = Tools(self.kube, self.backend, Resolver(Cache(self.kube), tokens), tokens, recorder)
        self.pods = Pods(Place(self.node, "127.0.0.1", lambda: site), tools)
        runs = [self.backend.run(), recorder.run(), self.pods.run()]
        self._tasks = [asyncio.create_task(run) for run in runs]

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.backend.close()
        await self.kube.close()
        await asyncio.sleep(0.3)  # TLS connections close with a farewell
        wrong = [error for error in ended if error and not isinstance(error, asyncio.CancelledError)]
        assert not wrong, wrong


@dataclass
class Stand:
    """A node with its kubelet, and an administrator's view of its pods."""

    cluster: Cluster
    node: str
    namespace: str
    kubelet: Kubelet

    def path(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods" + (f"/{name}" if name else "")

    def create(self, name: str, **spec: Any) -> Json:
        """Create a pod on the node; containers default to one that ends at once."""
        metadata = {"name": name, **spec.pop("metadata", {})}
        containers = spec.pop("containers", None) or [{"name": "c", **spec.pop("container", {})}]
        containers = [{"image": "busybox:1.36", "command": ["true"], **item} for item in containers]
        full = {"nodeName": self.node, "restartPolicy": "Never", "terminationGracePeriodSeconds": 2, **spec}
        body = {"metadata": metadata, "spec": {**full, "containers": containers}}
        return self.cluster.create(self.path(), {"apiVersion": "v1", "kind": "Pod", **body})

    def wait(self, name: str, accepted: Callable[[Json], object], timeout: float = DEADLINE) -> Json:
        return self.cluster.wait_for(self.path(name), accepted, timeout)

    def phase(self, name: str, phase: str, timeout: float = DEADLINE) -> Json:
        return self.wait(name, lambda pod: pod["status"]["phase"] == phase, timeout)

    def gone(self, name: str, timeout: float = DEADLINE) -> None:
        self.cluster.wait_gone(self.path(name), timeout)

    def events(self, name: str) -> dict[str, Json]:
        """Return the kubelet's events of a pod, the last by reason."""
        found = self.cluster.get(f"/api/v1/namespaces/{self.namespace}/events?fieldSelector=involvedObject.name={name}")
        return {item["reason"]: item for item in found["items"] if item["source"].get("component") == "kubelet"}

    def event(self, name: str, reason: str, timeout: float = DEADLINE) -> Json:
        until = time.monotonic() + timeout
        while reason not in (found := self.events(name)):
            assert time.monotonic() < until, (name, reason, list(found))
            time.sleep(0.1)
        return found[reason]


@contextlib.contextmanager
def standing(
    cluster: Cluster, node: str, namespace: str, make: Callable[[], Backend], kubeconfig: Path | None = None
) -> Iterator[Stand]:
    """A registered node with heartbeats, and a kubelet that runs its pods; `kubeconfig` is the kubelet's."""
    loop = Loop()
    kubelet = Kubelet(loop, str(kubeconfig or cluster.service_account), node, make)
    try:
        with heartbeat(cluster, node):
            cluster.create("/api/v1/nodes", stub_node(node))
            kubelet.start()
            yield Stand(cluster, node, namespace, kubelet)
    finally:
        kubelet.stop()
        loop.close()
        with contextlib.suppress(ApiFailure):
            cluster.delete(f"/api/v1/nodes/{node}")


@contextlib.contextmanager
def watching(stand: Stand, pod: Json) -> Iterator[list[Json]]:
    """Collect the versions of a pod from now on, until the block is left; the last is that of its removal."""
    seen: list[Json] = []
    command = stand.cluster.kubectl_command("get", "pod", pod["metadata"]["name"], "-n", stand.namespace)
    watch = subprocess.Popen(
        [*command, "--watch", "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment()
    )
    assert watch.stdout is not None
    stream = watch.stdout

    def read() -> None:
        decoder, rest = json.JSONDecoder(), ""
        while chunk := stream.read1(1 << 16):  # type: ignore[attr-defined]
            rest += chunk.decode()
            with contextlib.suppress(json.JSONDecodeError):
                while rest.strip():
                    found, end = decoder.raw_decode(rest.lstrip())
                    seen.append(found)
                    rest = rest.lstrip()[end:]

    thread = threading.Thread(target=read)
    thread.start()
    try:
        wait_until(lambda: bool(seen), DEADLINE, "the watch to begin")
        yield seen
        time.sleep(0.5)
    finally:
        watch.terminate()
        watch.wait()
        thread.join()
        stream.close()


def v1(url: str) -> Callable[[], Backend]:
    return lambda: V1Backend(AioTransport(url))


@contextlib.contextmanager
def heartbeat(cluster: Cluster, node: str) -> Iterator[None]:
    """Keep a node Ready that nobody else keeps; from before it is registered, as its name may have been used."""
    ended = threading.Event()
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}"

    def renewed() -> Json:
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now}}

    def beat() -> None:
        while not ended.wait(10):
            cluster.patch(path, renewed(), "merge-patch")

    with contextlib.suppress(ApiFailure):
        cluster.create(path.rpartition("/")[0], {"metadata": {"name": node}, **renewed()})
    cluster.patch(path, renewed(), "merge-patch")
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def directory(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made
