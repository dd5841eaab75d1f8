"""`interlink kubelet` and `interlink serve` as processes, to be frozen, killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.kill.server import Server
from tests.lab.controlplane.cluster import Cluster

ROOT = Path(__file__).parents[2]
DEADLINE = 300.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
Json = dict[str, Any]


@dataclass
class Kubelet:
    """One kubelet process; its state directory outlives it."""

    directory: Path
    kubeconfig: Path
    argv: Sequence[str]
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.directory / "kubelet.log").read_text()

    def start(self) -> Kubelet:
        argv = [sys.executable, "-c", "from interlink.cli import main; main()", "kubelet"]
        argv += [f"--kubeconfig={self.kubeconfig}", f"--state-dir={self.directory / 'state'}", *self.argv]
        environ = {**os.environ, **self.environ}
        with (self.directory / "kubelet.log").open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log, env=environ)
        return self

    def signal(self, number: int) -> None:
        assert self.process is not None
        assert self.process.poll() is None, f"the kubelet has ended: {self.log}"
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End politely and return the exit code."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@dataclass
class Site:
    """A server over one mock host that is a node, and kubelets that serve it."""

    cluster: Cluster
    node: str
    directory: Path
    server: Server
    kubelets: list[Kubelet] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/api/v1/nodes/{self.node}"

    def kubelet(self, *argv: str, kubeconfig: Path | None = None, **environ: str) -> Kubelet:
        """Start one more kubelet; a later flag wins over our own."""
        directory = self.directory / f"kubelet{len(self.kubelets)}"
        directory.mkdir()
        common = [f"--server=http://127.0.0.1:{self.server.port}", "--listen=127.0.0.1:14000", "--self-signed"]
        made = Kubelet(directory, kubeconfig or self.cluster.service_account, [*common, *argv], environ)
        self.kubelets.append(made)
        return made.start()

    def wait(self, accepted: Any, timeout: float = DEADLINE) -> Json:
        """Wait for the node to be as wanted; shows the kubelets' logs otherwise."""
        try:
            return self.cluster.wait_for(self.path, accepted, timeout)
        except Exception as error:
            logs = "\n".join(kubelet.log[-5000:] for kubelet in self.kubelets)
            raise AssertionError(f"{error}\n{logs}") from error

    def ready(self, status: str = "True") -> Json:
        return self.wait(lambda node: condition(node, "Ready")["status"] == status)

    def lease(self) -> Json:
        return self.cluster.get(f"{LEASES}/{self.node}")

    def leader(self) -> str:
        return str(self.cluster.get(f"{LEASES}/interlink-{self.node}")["spec"].get("holderIdentity"))

    def renewed(self) -> datetime:
        text = self.lease()["spec"]["renewTime"]
        return datetime.fromisoformat(text.replace("Z", "+00:00"))


def condition(node: Json, kind: str) -> Json:
    """Return a condition, an empty one if there is none."""
    listed = (node.get("status") or {}).get("conditions") or []
    return next((item for item in listed if item["type"] == kind), {"status": None})


def taints(node: Json) -> set[str]:
    return {item["key"] for item in (node.get("spec") or {}).get("taints") or []}


@contextlib.contextmanager
def site(
    cluster: Cluster, node: str, directory: Path, others: dict[str, Json] | None = None, **variables: Any
) -> Iterator[Site]:
    """Start a server whose one mock host is the node; stop it and all kubelets in the end.

    `others` are more hosts by name, with nodes of their own.
    """
    host = {"interlink_driver": "mock", **variables, "interlink_node": node}
    server = Server(directory, {"mock": host, **(others or {})})
    made = Site(cluster, node, directory, server)
    server.start()
    try:
        until = time.monotonic() + DEADLINE
        while not server.answers():
            assert time.monotonic() < until, "the server never answered"
            time.sleep(0.1)
        yield made
    finally:
        for kubelet in made.kubelets:
            if kubelet.process is not None and kubelet.process.poll() is None:
                kubelet.stop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGCONT) if server.process else None
        server.stop()
