"""The control plane of the lab does what the kubelet's tests rely on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.kubelet.objects import pod, stub_node
from tests.lab import process
from tests.lab.controlplane import programs
from tests.lab.controlplane.cluster import ApiFailure, Cluster


def to(name: str) -> dict[str, Any]:
    """The part of a pod's spec by which the scheduler finds the stub node."""
    return {"nodeSelector": {"test-node": name}}


def named(name: str, namespace: str) -> dict[str, str]:
    return {"name": name, "namespace": namespace}


def test_the_pinned_version_runs_and_kubectl_speaks_to_it(cluster: Cluster) -> None:
    versions = json.loads(cluster.kubectl("version", "-o", "json"))
    assert versions["serverVersion"]["gitVersion"] == versions["clientVersion"]["gitVersion"]
    assert versions["serverVersion"]["gitVersion"].startswith(programs.version().rpartition(".")[0])


def test_a_pod_is_bound_to_a_node(cluster: Cluster, namespace: str, node_name: str) -> None:
    cluster.create("/api/v1/nodes", stub_node(node_name))
    cluster.create(f"/api/v1/namespaces/{namespace}/pods", pod("p", **to(node_name)))
    cluster.wait_for(f"/api/v1/namespaces/{namespace}/pods/p", lambda found: found["spec"].get("nodeName") == node_name)


def test_controllers_make_pods_of_deployments_and_jobs(cluster: Cluster, namespace: str) -> None:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": pod("")["spec"]}
    deployment = {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    job = {"template": {"spec": pod("", restartPolicy="Never")["spec"]}}
    cluster.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named("d", namespace), "spec": deployment},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": named("j", namespace), "spec": job},
    )
    cluster.wait_for(f"/api/v1/namespaces/{namespace}/pods", lambda pods: len(pods["items"]) == 3)


def test_the_service_account_has_the_floor_of_rights_and_no_more(cluster: Cluster) -> None:
    def may(verb: str, resource: str, *more: str) -> str:
        account = f"--kubeconfig={cluster.service_account}"
        return cluster.run_kubectl(account, "auth", "can-i", verb, resource, *more).stdout.strip()

    assert may("patch", "pods", "--subresource=status", "-n", "default") == "yes"
    assert may("get", "configmaps/extension-apiserver-authentication", "-n", "kube-system") == "yes"
    assert may("list", "secrets", "-n", "default") == "no"
    assert may("create", "pods", "-n", "default") == "no"


def test_a_removed_namespace_takes_its_bound_pods_along(cluster: Cluster, node_name: str) -> None:
    name = f"{node_name}-ns"
    cluster.make_namespace(name)
    cluster.create("/api/v1/nodes", stub_node(node_name))
    cluster.create(f"/api/v1/namespaces/{name}/pods", pod("p", nodeName=node_name))
    cluster.remove_namespace(name)
    cluster.wait_gone(f"/api/v1/namespaces/{name}")


def test_an_api_server_is_killed_frozen_and_comes_back(second_cluster: Callable[..., Cluster]) -> None:
    cluster = second_cluster()
    uid = cluster.get("/api/v1/namespaces/default")["metadata"]["uid"]
    cluster.apiserver.kill()
    with pytest.raises(process.LabError, match=r"connection|refused"):
        cluster.kubectl("get", "--raw=/readyz")
    cluster.apiserver.start()
    assert cluster.get("/api/v1/namespaces/default")["metadata"]["uid"] == uid
    cluster.apiserver.pause()
    with pytest.raises(process.LabError, match=r"Timeout|deadline|timeout"):
        cluster.kubectl("get", "--raw=/readyz", "--request-timeout=1s")
    cluster.apiserver.resume()
    assert cluster.kubectl("get", "--raw=/readyz") == "ok"


def test_compaction_ends_a_list_midway(second_cluster: Callable[..., Cluster]) -> None:
    cluster = second_cluster(apiserver=["--feature-gates=ListFromCacheSnapshot=false"])  # pages come from etcd
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=5"
    following = cluster.get(path)["metadata"]["continue"]
    assert cluster.get(f"{path}&continue={following}")["items"]
    cluster.create("/api/v1/namespaces", {"metadata": {"name": "later"}})
    cluster.compact()
    with pytest.raises(ApiFailure) as caught:
        cluster.get(f"{path}&continue={following}")
    assert caught.value.status == 410
