"""The deployed rights are those that a kubelet uses in its whole life: all of them, and no others."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubelet.nodestand import Kubelet, Site, site
from tests.kubelet.objects import pod
from tests.kubelet.test_kubelet_callers import Approver
from tests.lab import process
from tests.lab.controlplane.cluster import FLOOR, Cluster
from tests.lab.controlplane.plane import free_ports

pytestmark = pytest.mark.lab
ACCOUNT = "system:serviceaccount:interlink:interlink"
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}],
}
Right = tuple[str, str, str]  # group, resource, verb


@pytest.fixture
def audited(second_cluster: Callable[..., Cluster], private_directory: Path) -> tuple[Cluster, Path]:
    """A control plane that writes down what the service account does."""
    policy, log = private_directory / "policy.json", private_directory / "audit.log"
    policy.write_text(json.dumps(POLICY))
    return second_cluster(apiserver=[f"--audit-policy-file={policy}", f"--audit-log-path={log}"]), log


@pytest.fixture
def here(audited: tuple[Cluster, Path], tmp_path: Path) -> Iterator[Site]:
    with site(audited[0], f"vk-rights-{os.getpid()}", tmp_path) as made:
        yield made


def granted() -> set[Right]:
    documents = [item for file in FLOOR for item in yaml.safe_load_all(file.read_text())]
    rules = [rule for item in documents if item["kind"] in ("ClusterRole", "Role") for rule in item["rules"]]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(log: Path) -> dict[Right, set[int]]:
    """Return what was asked, with the status codes of the answers."""
    found: dict[Right, set[int]] = {}
    for line in log.read_text().splitlines():
        event = json.loads(line)
        reference = event.get("objectRef")
        if reference is None:  # /version, which everybody may read
            continue
        resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
        right = (reference.get("apiGroup", ""), resource, event["verb"])
        found.setdefault(right, set()).add((event.get("responseStatus") or {}).get("code", 0))
    return found


@pytest.mark.timeout(900)
def test_a_whole_life_uses_every_right_and_needs_no_other(audited: tuple[Cluster, Path], here: Site) -> None:
    cluster, log = audited
    port = free_ports("kubelet")["kubelet"]
    argv = [f"--server=http://127.0.0.1:{here.server.port}", f"--listen=127.0.0.1:{port}", "--address=127.0.0.1"]
    directory = here.directory / "signed"
    directory.mkdir()
    kubelet = Kubelet(directory, cluster.service_account, argv)
    here.kubelets.append(kubelet)
    approver = Approver(cluster, here.node)
    try:
        kubelet.start()
        here.ready()
        live(cluster, here.node)
        process.wait_until(lambda: approver.approved, 120, "a signing request")
        assert ask_by_token(port, reader(cluster)) == 200
        kubelet.kill()
        cluster.delete("/api/v1/namespaces/default/pods/runs", gracePeriodSeconds=0)
        kubelet.start()
        process.wait_until(lambda: used(log).keys() >= granted(), 240, "every right to be used")
    except process.LabError:
        left = granted() - used(log).keys()
        raise AssertionError(f"never used: {sorted(left)}\n{kubelet.log[-3000:]}") from None
    finally:
        approver.close()
    asked = used(log)
    assert {right for right, codes in asked.items() if 403 in codes} == set()
    assert asked.keys() - granted() == set()


def live(cluster: Cluster, node: str) -> None:
    """Have a pod run that refers to everything, one that waits for what is missing, one that is deleted."""
    core = "/api/v1/namespaces/default"
    cluster.create(f"{core}/configmaps", {"metadata": {"name": "there"}, "data": {"k": "v"}})
    cluster.create(f"{core}/secrets", {"metadata": {"name": "there"}, "stringData": {"k": "v"}})
    volumes: list[dict[str, Any]] = [
        {"name": "c", "configMap": {"name": "there"}},
        {"name": "s", "secret": {"secretName": "there"}},
    ]
    mock = {"mock.interlink.eu/run": "forever", "mock.interlink.eu/log": "said\n"}
    for name, more in {
        "runs": {"volumes": volumes},
        "waits": {"volumes": [{"name": "c", "configMap": {"name": "absent"}}]},
        "goes": {},
    }.items():
        made = pod(name, nodeName=node, **more)
        made["metadata"]["annotations"] = mock
        cluster.create(f"{core}/pods", made)
    for name in ("runs", "goes"):
        cluster.wait_for(f"{core}/pods/{name}", lambda found: found["status"]["phase"] == "Running", 120)
    cluster.delete(f"{core}/pods/goes", gracePeriodSeconds=1)
    cluster.wait_gone(f"{core}/pods/goes", 120)


def reader(cluster: Cluster) -> str:
    """Return the token of an account that may read logs and metrics."""
    cluster.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "reader"}})
    rules = [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
    ]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    cluster.create(f"{rbac}/clusterroles", {"metadata": {"name": "reader"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}
    binding = {"metadata": {"name": "reader"}, "roleRef": role, "subjects": [subject]}
    cluster.create(f"{rbac}/clusterrolebindings", binding)
    return cluster.token(name="reader", namespace="default")


def ask_by_token(port: int, token: str) -> int:
    """Ask the node itself for its metrics; returns the status."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
