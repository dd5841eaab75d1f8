"""A node's HTTPS API beside its pod part, reachable by the API server and by clients of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlink.kubelet.auth import Callers
from interlink.kubelet.certs import Names
from interlink.kubelet.kube import Kube
from interlink.kubelet.server import KubeletServer, Listen, Node
from interlink.kubelet.serving import Certificate, SelfSigned
from tests.kubelet.podstand import Loop, Stand
from tests.lab.controlplane.cluster import Cluster
from tests.lab.process import clean_environment

Made = Callable[[Kube, Names, Path], Certificate]


@dataclass
class Api:
    """A listening server of a node."""

    cluster: Cluster
    node: str
    address: str
    server: KubeletServer
    loop: Loop

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.server.port}"

    @property
    def streams(self) -> int:
        """How many logs are being read."""
        return len(self.server._endpoints._streams)

    def ask(self, path: str, *, token: str = "", pem: tuple[Path, Path] | None = None) -> tuple[int, str]:
        """Ask the node itself, past the API server."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if pem:
            context.load_cert_chain(*pem)
        connection = http.client.HTTPSConnection(self.address, self.server.port, timeout=30, context=context)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def proxied(self, path: str) -> Any:
        """Ask through the API server; JSON is decoded."""
        text = self.cluster.kubectl("get", "--raw", f"/api/v1/nodes/{self.node}/proxy{path}")
        return json.loads(text) if text.startswith("{") else text


@contextlib.contextmanager
def listening(
    cluster: Cluster, loop: Loop, served: Node, address: str, directory: Path, made: Made | None = None
) -> Iterator[Api]:
    """Serve a node that is in the cluster, with the rights of the service account and no others, and say where."""

    async def start() -> tuple[Kube, KubeletServer, asyncio.Task[None]]:
        kube = await Kube.connect(str(cluster.service_account))
        names = Names(served.name, (address,))
        certificate = made(kube, names, directory) if made else SelfSigned(names, directory)
        callers = Callers(kube)
        server = KubeletServer(served, kube, callers, certificate, Listen(address, 0))
        await server.start()
        return kube, server, asyncio.create_task(callers.follow_authority())

    async def stop() -> None:
        following.cancel()
        await server.close()
        await kube.close()
        await asyncio.sleep(0.3)  # TLS connections close with a farewell

    kube, server, following = loop.run(start())
    try:
        dialled = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": served.name}]
        status = {"addresses": dialled, "daemonEndpoints": {"kubeletEndpoint": {"Port": server.port}}}
        cluster.patch(f"/api/v1/nodes/{served.name}/status", {"status": status})
        yield Api(cluster, served.name, address, server, loop)
    finally:
        loop.run(stop())


@contextlib.contextmanager
def serving_pods(stand: Stand, address: str, directory: Path) -> Iterator[Api]:
    """Serve the pods of a stand."""
    served = Node(stand.node, stand.kubelet.pods.store, stand.kubelet.backend)
    with listening(stand.cluster, stand.kubelet.loop, served, address, directory) as api:
        yield api


class Follower:
    """A kubectl that follows a log; its lines as they come."""

    def __init__(self, cluster: Cluster, *args: str) -> None:
        command = cluster.kubectl_command("logs", "--follow", *args)
        pipe = subprocess.PIPE
        # unbuffered: communicate() would not see what readline() had taken in advance
        self.process = subprocess.Popen(command, stdout=pipe, stderr=pipe, env=clean_environment(), bufsize=0)

    def line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def processes_with(text: str) -> list[str]:
    """Return the command lines of all processes of the machine that have a text in theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if text in command:
                found.append(command)
    return found


def shell(*commands: str) -> Sequence[str]:
    return ["sh", "-c", "; ".join(commands)]


def until(look: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return found
