"""A node in a real cluster: registered, kept as others changed it, deleted and made again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubelet.nodestand import LEASES, Site, condition, site, taints
from tests.lab import process
from tests.lab.controlplane.cluster import ApiFailure, Cluster

OURS, UNREACHABLE = "virtual-node.interlink/no-schedule", "virtual-node.interlink/unreachable"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def here(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One kubelet for all of these tests; none of them hurts it."""
    name = f"vk-node-{os.getpid()}"
    directory = tmp_path_factory.mktemp("site")
    with site(cluster, name, directory, interlink_labels={"example.org/site": "bonn"}) as made:
        made.kubelet()
        made.wait(lambda node: condition(node, "Ready")["status"] == "True" and taints(node) == {OURS})
        yield made
    cluster.delete(f"/api/v1/nodes/{name}")


def test_a_node_says_what_it_is(here: Site) -> None:
    node = here.ready()
    labels = node["metadata"]["labels"]
    assert labels["kubernetes.io/hostname"] == here.node
    assert labels["kubernetes.io/os"] == "linux"
    assert labels["kubernetes.io/arch"] == node["status"]["nodeInfo"]["architecture"]
    assert labels["type"] == labels["virtual-node.interlink/type"] == "virtual-kubelet"
    assert labels["example.org/site"] == "bonn"
    status = node["status"]
    assert int(status["capacity"]["cpu"]) > 0
    assert status["capacity"] == status["allocatable"]
    assert "-interlink-" in status["nodeInfo"]["kubeletVersion"]
    assert {item["address"] for item in status["addresses"]} == {"127.0.0.1", here.node}
    assert {item["type"]: item["status"] for item in status["conditions"]} == {
        "Ready": "True",
        "InterlinkConnectivity": "True",
        **dict.fromkeys(("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"), "False"),
    }


def test_its_lease_belongs_to_it_and_is_renewed(here: Site) -> None:
    lease, node = here.lease(), here.cluster.get(here.path)
    assert lease["spec"]["holderIdentity"] == here.node
    assert lease["spec"]["leaseDurationSeconds"] == 40
    assert lease["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": here.node, "uid": node["metadata"]["uid"]}
    ]
    before = here.renewed()
    process.wait_until(lambda: here.renewed() > before, 60, "the lease to be renewed")


def test_what_others_write_stays(here: Site) -> None:
    """A cordon, labels, annotations, taints, conditions stay; what is ours comes back."""
    cluster, key = here.cluster, "example.org/theirs"
    cluster.kubectl("cordon", here.node)
    cluster.kubectl("taint", "node", here.node, f"{key}=1:NoSchedule", f"{OURS}-")
    cluster.kubectl("annotate", "node", here.node, f"{key}=1")
    cluster.kubectl("label", "node", here.node, f"{key}=1", "type=other", "--overwrite")
    foreign = {"type": "TheirsIsFine", "status": "True", "reason": "r", "message": "m"}
    outage = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting"}
    cluster.patch(f"{here.path}/status", {"status": {"conditions": [foreign, outage]}})
    node = here.wait(
        lambda node: condition(node, "Ready")["status"] == "True" and node["metadata"]["labels"]["type"] != "other"
    )
    assert condition(node, "Ready")["reason"] == "KubeletReady"
    assert condition(node, "TheirsIsFine")["reason"] == "r"
    assert node["metadata"]["labels"][key] == node["metadata"]["annotations"][key] == "1"
    node = here.wait(lambda node: "node.kubernetes.io/unreachable" not in taints(node))
    assert taints(node) - {"node.kubernetes.io/not-ready"} == {key, "node.kubernetes.io/unschedulable"}
    cluster.kubectl("uncordon", here.node)
    cluster.kubectl("taint", "node", here.node, f"{key}-", f"{OURS}=true:NoSchedule")


def test_a_deleted_node_is_made_again_with_its_lease(here: Site) -> None:
    before = here.cluster.get(here.path)["metadata"]["uid"]
    here.cluster.delete(here.path)
    node = here.wait(lambda node: node["metadata"]["uid"] != before and condition(node, "Ready")["status"] == "True")
    uid = node["metadata"]["uid"]

    def pointed() -> bool:
        try:
            return bool(here.lease()["metadata"]["ownerReferences"][0]["uid"] == uid)
        except ApiFailure as error:
            if error.status != 404:
                raise
            return False  # collected with its old owner, and not written again yet

    process.wait_until(pointed, 60, "the lease to belong to the new node")
    assert OURS in taints(here.cluster.get(here.path))


def test_a_change_of_the_inventory_reaches_the_node(here: Site) -> None:
    inventory = here.server.inventory
    before = inventory.read_text()
    inventory.write_text(
        before.replace("example.org/site: bonn", "example.org/rack: '7'").replace(
            "interlink_driver: mock",
            "interlink_driver: mock\n      interlink_taints: ['example.org/gpu=yes:NoSchedule']",
        )
    )
    node = here.wait(lambda node: node["metadata"]["labels"].get("example.org/rack") == "7" and len(taints(node)) > 1)
    assert "example.org/site" not in node["metadata"]["labels"]
    assert taints(node) == {OURS, "example.org/gpu"}
    inventory.write_text(before)
    node = here.wait(lambda node: taints(node) == {OURS} and "example.org/rack" not in node["metadata"]["labels"])
    assert node["metadata"]["labels"]["example.org/site"] == "bonn"


def test_capacity_follows_hosts_that_come_and_go(here: Site) -> None:
    inventory = here.server.inventory
    before = inventory.read_text()
    cpus = int(here.ready()["status"]["capacity"]["cpu"])
    content = yaml.safe_load(before)
    content["all"]["hosts"]["second"] = content["all"]["hosts"]["mock"]
    inventory.write_text(yaml.safe_dump(content))
    node = here.wait(lambda node: int(node["status"]["capacity"]["cpu"]) == 2 * cpus)
    assert node["status"]["allocatable"] == node["status"]["capacity"]
    inventory.write_text(before)
    here.wait(lambda node: int(node["status"]["capacity"]["cpu"]) == cpus)


def test_a_node_that_leaves_the_inventory_takes_nothing_new_and_is_served_until_it_is_deleted(here: Site) -> None:
    inventory, other = here.server.inventory, f"{here.node}-b"
    before = inventory.read_text()
    inventory.write_text(before.replace(f"interlink_node: {here.node}", f"interlink_node: {other}"))
    there = f"/api/v1/nodes/{other}"
    here.cluster.wait_for(there, lambda node: condition(node, "Ready")["status"] == "True", 120)
    node = here.wait(lambda node: UNREACHABLE in taints(node))
    assert condition(node, "Ready")["status"] == "True"
    assert "does not offer" in condition(node, "InterlinkConnectivity")["message"]
    inventory.write_text(before)
    here.wait(lambda node: UNREACHABLE not in taints(node))
    here.cluster.wait_for(there, lambda node: UNREACHABLE in taints(node), 120)
    here.cluster.delete(there)
    process.wait_until(lambda: f"{other} is gone for good" in here.kubelets[0].log, 300, "the end of a node")
    assert not here.cluster.exists(there)


def test_a_pod_that_is_scheduled_here_runs_to_its_end(here: Site, namespace: str) -> None:
    """By nodeSelector and toleration, as users write it; then its log."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace, "annotations": {"mock.interlink.eu/log": "hello"}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": here.node},
            "tolerations": [{"key": OURS, "operator": "Exists"}],
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "busybox:1.36", "command": ["true"]}],
        },
    }
    here.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    path = f"/api/v1/namespaces/{namespace}/pods/p"
    here.cluster.wait_for(path, lambda found: found["status"]["phase"] == "Succeeded", 120)
    assert here.cluster.kubectl("logs", "-n", namespace, "p").strip() == "hello"


def test_a_real_node_of_that_name_is_left_alone(cluster: Cluster, tmp_path: Path, node_name: str) -> None:
    made = cluster.create("/api/v1/nodes", {"metadata": {"name": node_name, "labels": {"type": "metal"}}})
    with site(cluster, node_name, tmp_path) as there:
        kubelet = there.kubelet()
        process.wait_until(lambda: "no virtual one" in kubelet.log, 60, "the kubelet to refuse")
        now = cluster.get(there.path)
        assert now["metadata"]["labels"] == {"type": "metal"}
        assert now["metadata"]["uid"] == made["metadata"]["uid"]
        assert not cluster.exists(f"{LEASES}/{node_name}")
