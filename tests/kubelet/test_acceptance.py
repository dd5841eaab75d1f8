"""What the end-to-end suite of other virtual kubelets asks, and more of that kind; see acceptance.yaml for all of it.

Names of events are a real kubelet's. Everything of the node's own API goes through the API server's proxy.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlink.kubelet import tokens
from tests.bench.stand import Served
from tests.kubelet import proxy
from tests.kubelet.apistand import Api, serving_pods, until
from tests.kubelet.conftest import MOCK_NODE
from tests.kubelet.podstand import Stand, standing, v1, watching
from tests.kubelet.test_pods_docker import log
from tests.kubelet.test_pods_mock import FOREVER, is_ready, uid_of
from tests.lab import shared
from tests.lab.controlplane.cluster import Cluster

pytestmark = pytest.mark.lab

Json = dict[str, Any]
SLEEP = {"command": ["sleep", "1000"]}


@pytest.fixture
def api(lab_part: Callable[[str], shared.Lab], on_docker: Stand, tmp_path: Path) -> Iterator[Api]:
    address = str(ipaddress.ip_network(lab_part("docker").network.cidr)[1])
    with serving_pods(on_docker, address, tmp_path / "certs") as made:
        yield made


def runs(api: Api, uid: str) -> bool:
    return uid in [item["metadata"]["uid"] for item in api.proxied("/runningpods/")["items"]]


@pytest.mark.parametrize("grace", [2, 0])
def test_a_deleted_pod_is_out_of_what_runs(on_docker: Stand, api: Api, grace: int) -> None:
    """E4, E5: gracefully and by force."""
    pod = on_docker.create("p", container=SLEEP)
    on_docker.wait("p", is_ready)
    assert runs(api, uid_of(pod))
    with watching(on_docker, pod) as seen:
        on_docker.cluster.delete(on_docker.path("p"), gracePeriodSeconds=grace)
        on_docker.gone("p")
    if grace:
        marked = [item["metadata"] for item in seen if item["metadata"].get("deletionTimestamp")]
        assert marked[0]["deletionGracePeriodSeconds"] == grace
    until(lambda: not runs(api, uid_of(pod)), "out of what runs")


@pytest.mark.parametrize("kind", ["secretRef", "configMapRef"])
def test_an_optional_reference_may_be_missing(on_docker: Stand, api: Api, kind: str) -> None:
    """E6, E8."""
    source = {"secretRef": {"secret": {"secretName": "no", "optional": True}}}.get(kind)
    source = source or {"configMap": {"name": "no", "optional": True}}
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}], "envFrom": [{kind: {"name": "no", "optional": True}}]}
    pod = on_docker.create("p", volumes=[{"name": "v", **source}], container={**SLEEP, **mounts})
    found = on_docker.wait("p", is_ready)
    assert found["status"]["phase"] == "Running"
    assert runs(api, uid_of(pod))


@pytest.mark.parametrize(
    ("kind", "message"), [("secretRef", 'secret "no" not found'), ("configMapRef", 'configmap "no" not found')]
)
def test_a_mandatory_reference_that_is_missing_holds_the_pod(
    on_docker: Stand, api: Api, kind: str, message: str
) -> None:
    """E7, E9."""
    pod = on_docker.create("p", container={**SLEEP, "envFrom": [{kind: {"name": "no"}}]})
    assert on_docker.event("p", "Failed")["message"] == f"Error: {message}"
    assert not runs(api, uid_of(pod))
    assert on_docker.cluster.get(on_docker.path("p"))["status"]["phase"] == "Pending"


def test_a_field_that_nobody_here_knows_reaches_the_server(
    cluster: Cluster, mock_server: Served, namespace: str
) -> None:
    with (
        proxy.before(mock_server.url) as far,
        standing(cluster, MOCK_NODE, namespace, v1(f"http://127.0.0.1:{far.port}")) as stand,
    ):
        stand.create("p", metadata=FOREVER, os={"name": "linux"}, setHostnameAsFQDN=False)
        stand.phase("p", "Running")
        assert b'"os":{"name":"linux"}' in far.asked.replace(b" ", b"")


def test_a_token_is_renewed_on_the_host_while_the_pod_runs(on_docker: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at four fifths of its life, which is brought forward: no cluster gives tokens of less than ten minutes."""
    monkeypatch.setattr(tokens, "RENEW_AT", 0.02)
    source = {"serviceAccountToken": {"path": "token", "audience": "me", "expirationSeconds": 600}}
    volumes = [{"name": "v", "projected": {"sources": [source]}}]
    script = "while :; do cat /v/token; echo; sleep 1; done"
    pod = on_docker.create(
        "p",
        volumes=volumes,
        automountServiceAccountToken=False,
        container={"command": ["sh", "-c", script], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
    )
    on_docker.phase("p", "Running")
    until(lambda: len(set(log(on_docker, "p").split())) > 2, "the third token", 120)
    told = [json.loads(decoded(text.split(".")[1])) for text in dict.fromkeys(log(on_docker, "p").split())]
    assert all(claims["aud"] == ["me"] for claims in told)
    assert {claims["kubernetes.io"]["pod"]["uid"] for claims in told} == {uid_of(pod)}
    assert told[0]["exp"] < told[-1]["exp"]


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_status_is_written_whatever_others_write_meanwhile(on_docker: Stand) -> None:
    """Somebody changes the pod all the time: no status is lost to a conflict, and nothing of theirs."""
    cluster = on_docker.cluster
    pod = on_docker.create("p", container={"command": ["sh", "-c", "sleep 2; exit 9"]})
    with watching(on_docker, pod) as seen:
        end, number = time.monotonic() + 60, 0
        while time.monotonic() < end:
            number += 1
            cluster.patch(on_docker.path("p"), {"metadata": {"annotations": {"n": str(number)}}}, "merge-patch")
            condition = {"type": "theirs.io/it", "status": "True", "reason": f"n{number}"}
            found = cluster.patch(f"{on_docker.path('p')}/status", {"status": {"conditions": [condition]}})
            if found["status"]["phase"] == "Failed":
                break
    assert found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 9
    assert any(c.get("reason") == f"n{number}" for c in found["status"]["conditions"])
    assert [item["status"]["phase"] for item in seen].count("Running") > 0
