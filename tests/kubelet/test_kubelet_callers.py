"""Who may ask a node, and what it is served with: by a real API server's reviews, authority and signer."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from interlink.kubelet import serving
from interlink.kubelet.certs import Names
from interlink.kubelet.kube import Kube
from interlink.kubelet.server import Node
from interlink.kubelet.serving import Certificate, Signed
from interlink.model.driver import LogQuery
from tests.kubelet.apistand import Api, listening, until
from tests.kubelet.objects import pod, stub_node
from tests.kubelet.podstand import Loop
from tests.lab.controlplane.cluster import ApiFailure, Cluster
from tests.lab.controlplane.plane import ControlPlane
from tests.unit.kubelet.serverkit import Authority, Backend, record

pytestmark = pytest.mark.lab
LOCAL = "127.0.0.1"


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def api(cluster: Cluster, node_name: str, loop: Loop, tmp_path: Path) -> Iterator[Api]:
    """A node without pods that is only asked."""
    cluster.create("/api/v1/nodes", stub_node(node_name))
    served = Node(node_name, [], Backend(records=[]))
    with listening(cluster, loop, served, LOCAL, tmp_path / "certs") as made:
        yield made


def test_nobody_and_strangers_are_refused(cluster: Cluster, api: Api, tmp_path: Path) -> None:
    assert api.ask("/healthz") == (401, "Unauthorized")
    assert api.ask("/healthz", token="made.up.token") == (401, "Unauthorized")
    stranger = Authority("kubernetes").client(tmp_path / "stranger.pem", "kube-apiserver", "system:masters")
    with pytest.raises(OSError, match=r"alert|reset|closed"):
        api.ask("/healthz", pem=(stranger, stranger))


def test_the_api_servers_and_the_administrators_certificates_are_known(cluster: Cluster, api: Api) -> None:
    for pair in (cluster.kubelet_client, cluster.admin_client):
        assert api.ask("/healthz", pem=(pair.certificate, pair.key)) == (200, "ok")


def test_each_right_opens_what_it_says_and_no_more(api: Api, account: Callable[..., str]) -> None:
    metrics = account("metrics", {"resources": ["nodes/metrics", "nodes/stats"], "verbs": ["get"]})
    reader = account("reader", {"resources": ["nodes/proxy"], "verbs": ["get"]})
    fine = account("fine", {"resources": ["nodes/pods"], "verbs": ["get"]})
    creator = account("creator", {"resources": ["nodes/proxy"], "verbs": ["create"]})
    other = account("other", {"resources": ["nodes/proxy"], "verbs": ["*"], "resourceNames": ["another-node"]})
    nothing = account("nothing")
    paths = ("/metrics/resource", "/stats/summary", "/pods", "/configz", "/containerLogs/ns/p/c", "/exec/ns/p/c")
    codes = {
        metrics: (200, 200, 403, 403, 403, 403),
        reader: (403, 403, 200, 200, 404, 403),  # a WebSocket begins with a GET: it needs create all the same
        fine: (403, 403, 200, 403, 403, 403),
        creator: (403, 403, 403, 403, 403, 501),
        other: (403, 403, 403, 403, 403, 403),
        nothing: (403, 403, 403, 403, 403, 403),
    }
    for token, expected in codes.items():
        assert tuple(api.ask(path, token=token)[0] for path in paths) == expected


def test_a_token_that_was_withdrawn_is_refused_in_time(
    cluster: Cluster, api: Api, account: Callable[..., str], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlink.kubelet.auth.TOKEN_SECONDS", 0.5)
    token = account("short", {"resources": ["nodes/metrics"], "verbs": ["get"]})
    assert api.ask("/metrics", token=token)[0] == 200
    cluster.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/short")
    until(lambda: api.ask("/metrics", token=token)[0] == 401, "the token is refused")


class Logs(Backend):
    """One pod with a log."""

    def __init__(self, uid: str) -> None:
        super().__init__(records=[record(uid=uid)])

    @contextlib.asynccontextmanager
    async def logs(self, query: LogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"said\n"

        yield chunks()


def signed(kube: Kube, names: Names, directory: Path) -> Certificate:
    return Signed(names, directory, kube)


class Approver:
    """Approves the requests of one node, as an administrator or a controller does."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._cluster, self._node = cluster, node
        self._ended = threading.Event()
        self.approved: set[str] = set()
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._ended.wait(0.2):
            for request in requests_of(self._cluster, self._node):
                name = request["metadata"]["name"]
                if name not in self.approved:
                    with contextlib.suppress(ApiFailure):
                        approve(self._cluster, request)
                        self.approved.add(name)


def requests_of(cluster: Cluster, node: str) -> list[dict[str, Any]]:
    found = cluster.get("/apis/certificates.k8s.io/v1/certificatesigningrequests")["items"]
    return [item for item in found if item["metadata"]["name"].startswith(f"interlink-{node}-")]


def approve(cluster: Cluster, request: dict[str, Any]) -> None:
    condition = {"type": "Approved", "status": "True", "reason": "Test", "message": ""}
    path = f"/apis/certificates.k8s.io/v1/certificatesigningrequests/{request['metadata']['name']}/approval"
    cluster.replace(path, {**request, "status": {"conditions": [condition]}})


def is_trusted(cluster: Cluster, api: Api) -> x509.Certificate | None:
    """Return the certificate that the server shows, if the cluster's authority vouches for the dialled address."""
    context = ssl.create_default_context(cafile=str(cluster.ca))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with socket.create_connection((api.address, api.server.port), 30) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=api.address) as secure:
                shown = secure.getpeercert(binary_form=True)
        except ssl.SSLCertVerificationError:
            return None
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(serving, "LONGEST_POLL_SECONDS", 0.5)


def test_the_certificate_is_the_clusters_once_kubectl_has_approved_it(
    cluster: Cluster, node_name: str, loop: Loop, tmp_path: Path, impatient: None
) -> None:
    cluster.create("/api/v1/nodes", stub_node(node_name))
    served = Node(node_name, [], Backend(records=[]))
    directory = tmp_path / "certs"
    with listening(cluster, loop, served, LOCAL, directory, signed) as api:
        (request,) = until(lambda: requests_of(cluster, node_name), "the request is there")
        assert request["spec"]["username"].startswith("system:serviceaccount:")
        subject = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"])).subject
        assert subject.rfc4514_string() == f"CN=system:node:{node_name},O=system:nodes"
        assert is_trusted(cluster, api) is None
        assert api.server.certificate.chain.source == "self-signed"
        cluster.kubectl("certificate", "approve", request["metadata"]["name"])
        found = until(lambda: is_trusted(cluster, api), "it is served")
        until(lambda: not requests_of(cluster, node_name), "the request is tidied up")
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.iterdir())
    with listening(cluster, loop, served, LOCAL, directory, signed) as api:
        again = is_trusted(cluster, api)
        assert again is not None
        assert again.serial_number == found.serial_number


def test_short_certificates_are_renewed_under_an_api_server_that_verifies_them(
    second_cluster: Callable[..., Cluster], private_directory: Path, loop: Loop, tmp_path: Path, impatient: None
) -> None:
    """`kubectl logs` works before and after a renewal, while the API server insists on the authority."""
    authority = ControlPlane(private_directory / "k0").pki.ca.certificate  # where the fixture will make it
    second = second_cluster(
        apiserver=[f"--kubelet-certificate-authority={authority}"], controllers=["--cluster-signing-duration=40s"]
    )
    node = f"short-{os.getpid()}"
    second.create("/api/v1/nodes", stub_node(node))
    made = second.create("/api/v1/namespaces/default/pods", pod("web", nodeName=node))
    served = Node(node, [made], Logs(made["metadata"]["uid"]))
    approver = Approver(second, node)
    try:
        with listening(second, loop, served, LOCAL, tmp_path / "certs", signed) as api:
            assert "x509" in second.run_kubectl("logs", "web", "-c", "c").stderr or is_trusted(second, api)
            until(lambda: is_trusted(second, api), "it is served")
            serials = set()

            def renewed() -> bool:
                shown = is_trusted(second, api)
                assert shown is not None
                serials.add(shown.serial_number)
                assert second.kubectl("logs", "web", "-c", "c") == "said\n"
                return len(serials) >= 2

            until(renewed, "a renewal", 200)
    finally:
        approver.close()
