"""The interLink server goes away and comes back; pods notice nothing but what has changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlink.client.aio import AioTransport
from interlink.kubelet.backend import Backend
from interlink.kubelet.backend_contract import ContractBackend, Rhythm
from interlink.kubelet.backend_v1 import V1Backend
from tests.kill.server import Server
from tests.kubelet.podstand import DEADLINE, Stand, standing
from tests.kubelet.test_pods_mock import uid_of
from tests.lab.controlplane.cluster import Cluster
from tests.lab.process import wait_until

pytestmark = pytest.mark.lab


@pytest.fixture
def server(tmp_path: Path, node_name: str) -> Iterator[Server]:
    """A server over a host whose pods outlive it."""
    state = tmp_path / "shell"
    variables = {"ansible_connection": "local", "interlink_driver": "shell", "interlink_root": str(state)}
    made = Server(tmp_path, {"local": {**variables, "interlink_node": node_name}})
    made.start()
    wait_until(made.answers, DEADLINE, "the server to listen")
    try:
        yield made
    finally:
        made.stop()


def v1(server: Server) -> Backend:
    return V1Backend(AioTransport(f"http://127.0.0.1:{server.port}"))


def contract(server: Server) -> Backend:
    return ContractBackend(AioTransport(f"http://127.0.0.1:{server.port}"), rhythm=Rhythm(poll=0.5, ping=2))


@pytest.fixture(params=[v1, contract])
def away(
    request: pytest.FixtureRequest, cluster: Cluster, server: Server, node_name: str, namespace: str
) -> Iterator[Stand]:
    make: Callable[[Server], Backend] = request.param
    with standing(cluster, node_name, namespace, lambda: make(server)) as stand:
        yield stand


def process(*command: str) -> dict[str, Any]:
    """Return a pod's spec for a host without containers."""
    return {"container": {"command": list(command)}, "automountServiceAccountToken": False}


def test_pods_outlive_their_server(away: Stand, server: Server, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.touch()
    lived = away.create("lived", **process("sh", "-c", f"echo x >> {marks}; while :; do sleep 0.2; done"))
    away.create("ended", **process("sh", "-c", f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done; exit 6"))
    away.create("deleted", **process("sleep", "1000"))
    for name in ("lived", "ended", "deleted"):
        away.phase(name, "Running")
    server.kill()
    wait_until(lambda: not away.kubelet.backend.contact.up, DEADLINE, "the loss to be noticed")
    (tmp_path / "go").touch()
    away.cluster.delete(away.path("deleted"))
    away.create("new", **process("true"))
    with contextlib.suppress(AssertionError):
        away.event("new", "FailedCreatePodSandBox", timeout=1)
    pods = {name: away.cluster.get(away.path(name)) for name in ("lived", "ended", "deleted", "new")}
    assert [pod["status"]["phase"] for pod in pods.values()] == ["Running", "Running", "Running", "Pending"]
    assert pods["deleted"]["metadata"]["deletionTimestamp"]
    server.start()
    wait_until(lambda: away.kubelet.backend.contact.up, DEADLINE, "the server to be found again")
    away.phase("new", "Succeeded")
    status = away.phase("ended", "Failed")["status"]
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 6
    away.gone("deleted")
    assert marks.read_text() == "x\n"
    assert uid_of(away.phase("lived", "Running")) == uid_of(lived)
    for name in ("lived", "ended", "new"):
        away.cluster.delete(away.path(name))
        away.gone(name)
