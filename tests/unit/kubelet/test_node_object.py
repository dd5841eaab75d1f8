"""The Node object: what is created, what is applied, and when an apply is needed."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from interlink.kubelet import nodeobject
from interlink.kubelet.conditions import View
from interlink.kubelet.nodeobject import Identity
from interlink.model.driver import NodeRecord

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
IDENTITY = Identity("gpu-site", "192.0.2.7", 10251, "v1.36.3-interlink-0.1.0", "interlink://0.1.0")
ROOM = {"cpu": "1000", "memory": "2Gi", "pods": "110", "nvidia.com/gpu": "4"}
RECORD = NodeRecord("gpu-site", ROOM, ROOM, {"kubernetes.io/arch": "arm64", "example.org/site": "bonn"}, (), ())
VIRTUAL = {"type": "virtual-kubelet"}


def stored(wanted: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """A node as the API server gives it back after an apply."""
    owned = {"f:metadata": {"f:labels": {f"f:{key}": {} for key in wanted["metadata"]["labels"]}}}
    entry = {"manager": nodeobject.MANAGER, "operation": "Apply", "fieldsV1": owned}
    return {"metadata": {"labels": {**wanted["metadata"]["labels"], **labels}, "managedFields": [entry]}}


def test_the_creating_post_has_what_may_never_be_taken_back() -> None:
    body = nodeobject.registration(IDENTITY, RECORD)
    assert "status" not in body
    assert body["metadata"]["labels"] == {"virtual-node.interlink/type": "virtual-kubelet"}
    assert body["spec"]["taints"] == [
        {"key": "virtual-node.interlink/no-schedule", "value": "true", "effect": "NoSchedule"}
    ]
    assert nodeobject.is_virtual(body)


@pytest.mark.parametrize(
    ("labels", "virtual"),
    [({"virtual-node.interlink/type": "virtual-kubelet"}, True), (VIRTUAL, True), ({}, False), ({"type": "x"}, False)],
)
def test_a_real_node_of_that_name_is_not_ours(labels: dict[str, str], virtual: bool) -> None:
    assert nodeobject.is_virtual({"metadata": {"name": "n", "labels": labels}}) is virtual


def test_labels() -> None:
    labels = nodeobject.metadata(IDENTITY, RECORD, {"metadata": {}})["metadata"]["labels"]
    assert labels == {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "arm64",
        "kubernetes.io/hostname": "gpu-site",
        "type": "virtual-kubelet",
        "virtual-node.interlink/type": "virtual-kubelet",
        "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
        "node.kubernetes.io/exclude-from-external-load-balancers": "true",
        "example.org/site": "bonn",
    }
    long = nodeobject.metadata(Identity("n" * 62 + ".example.org"), None, {"metadata": {}})
    assert long["metadata"]["labels"]["kubernetes.io/hostname"] == "n" * 62


def test_labels_of_others_are_no_difference_and_ours_that_nobody_wants_any_more_are() -> None:
    wanted = nodeobject.metadata(IDENTITY, RECORD, {"metadata": {}})
    assert nodeobject.metadata_differs(wanted, {"metadata": {}})
    current = stored(wanted, {"example.org/theirs": "1"})
    assert not nodeobject.metadata_differs(wanted, current)
    poorer = nodeobject.metadata(IDENTITY, NodeRecord("gpu-site", {}, {}, {}, (), ()), current)
    assert nodeobject.metadata_differs(poorer, current)
    assert poorer["metadata"]["labels"]["kubernetes.io/arch"] == "arm64", "hosts that are away keep theirs"


def test_status() -> None:
    wanted = nodeobject.status(IDENTITY, View(RECORD), {"metadata": {}}, NOW)
    said = wanted["status"]
    assert said["capacity"] == said["allocatable"] == ROOM
    assert said["addresses"] == [
        {"type": "InternalIP", "address": "192.0.2.7"},
        {"type": "Hostname", "address": "gpu-site"},
    ]
    assert said["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10251}}
    assert (said["nodeInfo"]["kubeletVersion"], said["nodeInfo"]["architecture"]) == (IDENTITY.version, "arm64")


def changed(status: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"metadata": {}, "status": {**status, **more}}


def test_only_a_real_change_is_a_difference() -> None:
    wanted = nodeobject.status(IDENTITY, View(RECORD), {"metadata": {}}, NOW)
    said = wanted["status"]
    foreign = {"type": "example.org/Burning", "status": "True"}
    same = changed(
        said,
        capacity={**ROOM, "cpu": "1k", "memory": "2048Mi"},  # as quantities they are the same
        conditions=[foreign, *reversed(said["conditions"])],
        images=[],
        nodeInfo={**said["nodeInfo"], "swap": {}},
    )
    assert not nodeobject.status_differs(wanted, same)
    for other in (
        changed(said, capacity={**ROOM, "cpu": "999"}),
        changed(said, allocatable={key: ROOM[key] for key in ("cpu", "memory", "pods")}),
        changed(said, addresses=said["addresses"][:1]),
        changed(said, daemonEndpoints={"kubeletEndpoint": {"Port": 1}}),
        changed(said, conditions=[{**item, "status": "Unknown"} for item in said["conditions"]]),
        changed(said, nodeInfo={**said["nodeInfo"], "architecture": "amd64"}),
        {"metadata": {}},
    ):
        assert nodeobject.status_differs(wanted, other)


def test_hosts_that_are_away_have_not_lost_what_they_have() -> None:
    lost = View(NodeRecord("gpu-site", {}, {}, {}, (), ()))
    wanted = nodeobject.status(IDENTITY, lost, changed({"capacity": ROOM, "allocatable": ROOM}), NOW)
    assert wanted["status"]["capacity"] == ROOM


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("v1.36.3", "v1.36.3-interlink-0.1.0"),
        ("v1.34.4-gke.1", "v1.34.4-interlink-0.1.0"),
        ("v1.33.1+k3s1", "v1.33.1-interlink-0.1.0"),
        ("", "v1.0.0-interlink-0.1.0"),
    ],
)
def test_our_version_goes_by_the_servers(server: str, expected: str) -> None:
    assert nodeobject.kubelet_version(server, "0.1.0") == expected
