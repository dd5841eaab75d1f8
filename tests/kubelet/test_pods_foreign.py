"""Pods on a server that only speaks the existing contract: it is polled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from interlink.client.aio import AioTransport
from interlink.kubelet.backend import Backend
from interlink.kubelet.backend_contract import ContractBackend, Rhythm
from tests.bench.stand import Served
from tests.kubelet.conftest import DOCKER_NODE, MOCK_NODE
from tests.kubelet.podstand import DEADLINE, Stand, standing
from tests.kubelet.test_pods_docker import log
from tests.kubelet.test_pods_mock import FOREVER, job_gone, plan, stopped, uid_of
from tests.lab.controlplane.cluster import Cluster
from tests.lab.process import wait_until

pytestmark = pytest.mark.lab


def contract(url: str) -> Callable[[], Backend]:
    return lambda: ContractBackend(AioTransport(url), rhythm=Rhythm(poll=0.5, ping=2))


@pytest.fixture
def by_contract(cluster: Cluster, mock_server: Served, namespace: str) -> Iterator[Stand]:
    with standing(cluster, MOCK_NODE, namespace, contract(mock_server.url)) as stand:
        yield stand


@pytest.fixture
def docker_by_contract(cluster: Cluster, docker_server: Served, namespace: str) -> Iterator[Stand]:
    with standing(cluster, DOCKER_NODE, namespace, contract(docker_server.url)) as stand:
        yield stand


def test_pods_run_to_their_ends_and_are_deleted(by_contract: Stand, mock_server: Served) -> None:
    by_contract.create("good", metadata={"annotations": plan(run="1")})
    by_contract.create("bad", metadata={"annotations": plan(run="1", code="7")})
    pod = by_contract.create("long", metadata=FOREVER)
    by_contract.phase("good", "Succeeded")
    status = by_contract.phase("bad", "Failed")["status"]
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    by_contract.phase("long", "Running")
    for name in ("good", "bad", "long"):
        by_contract.cluster.delete(by_contract.path(name))
        by_contract.gone(name)
    wait_until(lambda: job_gone(mock_server, uid_of(pod)), DEADLINE, "the job to go")


def test_a_new_kubelet_asks_before_it_submits(by_contract: Stand, mock_server: Served) -> None:
    pod = by_contract.create("p", metadata=FOREVER)
    by_contract.phase("p", "Running")
    ended = by_contract.create("q", metadata={"annotations": plan(run="3", code="4")})
    by_contract.phase("q", "Running")
    before = mock_server.ours.pod(uid_of(pod)).status.containers[0].container_id
    with stopped(by_contract):
        wait_until(lambda: mock_server.ours.pod(uid_of(ended)).status.terminal, DEADLINE, "a pod to end")
    status = by_contract.phase("q", "Failed")["status"]
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert mock_server.ours.pod(uid_of(pod)).status.containers[0].container_id == before
    assert by_contract.cluster.get(by_contract.path("p"))["status"]["phase"] == "Running"


def test_env_is_resolved_once_and_volumes_arrive(docker_by_contract: Stand) -> None:
    cluster, base = docker_by_contract.cluster, f"/api/v1/namespaces/{docker_by_contract.namespace}"
    cluster.create(f"{base}/configmaps", {"metadata": {"name": "cm"}, "data": {"k": "$$x $(A)", "file": "text\n"}})
    env = [
        {"name": "A", "value": "a"},
        {"name": "CM", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
        {"name": "L", "value": "$(A) $$(A) $(CM)"},
    ]
    volumes = [{"name": "v", "projected": {"sources": [{"configMap": {"name": "cm"}}]}}]
    docker_by_contract.create(
        "p",
        volumes=volumes,
        container={
            "env": env,
            "command": [
                "sh",
                "-c",
                'echo "$$CM|$$L"; cat /v/file; test -s /var/run/secrets/kubernetes.io/serviceaccount/token',
            ],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        },
    )
    docker_by_contract.phase("p", "Succeeded")
    assert log(docker_by_contract, "p") == "$$x $(A)|a $(A) $$x $(A)\ntext\n"
