"""The dispatcher over mock hosts. What is told about nodes, logs and volumes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interlink.dispatcher import capacity
from interlink.drivers.mock import Fault
from interlink.errors import Conflict, NotFound
from interlink.model.driver import HostFacts, LogQuery
from interlink.model.host import Host
from interlink.model.pod import PodRef
from interlink.model.status import Phase
from tests.unit.dispatcher.world import World, ref, request_for, world


@pytest.mark.parametrize(
    ("stated", "raw", "offered"),
    [
        ({}, {"disk": {"total": 40 << 30, "free": 1 << 30}}, 40 << 30),
        ({"ephemeral-storage": "5Gi"}, {"disk": {"total": 40 << 30}}, 5 << 30),
        ({}, {"disk": {}}, None),
    ],
)
def test_the_roots_disk_is_the_storage_that_pods_may_ask_for(
    stated: dict[str, str], raw: dict[str, Any], offered: int | None
) -> None:
    host = Host("h", vars={"interlink_capacity": stated})
    assert capacity.capacity_of(host, HostFacts(raw=raw)).get("ephemeral-storage") == offered


def test_nodes_are_made_of_their_hosts(tmp_path: Path) -> None:
    labels = {"h1": {"site": "x", "rank": "1"}, "h2": {"site": "x", "rank": "2"}}
    hosts = {
        name: {
            "interlink_node": "vk",
            "interlink_capacity": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"},
            "interlink_pods": 5,
            "interlink_labels": labels[name],
            "interlink_taints": ["a=b:NoExecute"],
        }
        for name in ("h1", "h2")
    }
    with world(tmp_path, {**hosts, "h3": {}}) as w:
        (node,) = w.dispatcher.nodes()
        assert node.name == "vk"
        assert node.capacity == {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2", "pods": "10"}
        assert node.labels["site"] == "x"
        assert "rank" not in node.labels
        assert (node.labels["kubernetes.io/hostname"], node.labels["kubernetes.io/arch"]) == ("vk", "amd64")
        assert [(t.key, t.effect) for t in node.taints] == [
            ("virtual-node.interlink/no-schedule", "NoSchedule"),
            ("a", "NoExecute"),
        ]
        assert {c["type"]: c["status"] for c in node.conditions} == {"Ready": "True", "InterlinkConnectivity": "True"}
        assert w.dispatcher.ping().resources["pods"] == "100010"
        assert w.dispatcher.ready()["ok"]


def test_logs_name_what_is_missing(w: World) -> None:
    with pytest.raises(NotFound, match="no pod"):
        w.dispatcher.logs(LogQuery(PodRef("nobody")))
    request = request_for(initContainers=[{"name": "first"}])
    request.pod.raw["metadata"]["annotations"]["mock.interlink.eu/log.main"] = "hello\n"  # type: ignore[index]
    w.dispatcher.create(request)
    w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
    with closing(w.dispatcher.logs(LogQuery(ref(request)))) as log:
        assert b"".join(log) == b"hello\n"
    with pytest.raises(NotFound, match=r"no container 'other' of first, main"):
        w.dispatcher.logs(LogQuery(ref(request), "other"))


def test_a_pod_that_runs_before_its_launch_is_recorded_has_a_log(w: World) -> None:
    """The host may tell of it before it answers the launch."""
    request = request_for()
    request.pod.raw["metadata"]["annotations"]["mock.interlink.eu/log.main"] = "hello\n"  # type: ignore[index]
    for driver in w.drivers.values():
        driver.faults.inject(Fault.LOST_AFTER, times=1000)
    w.dispatcher._settings = replace(w.dispatcher._settings, launch_wait=0.0)
    w.dispatcher.create(request)
    w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
    with closing(w.dispatcher.logs(LogQuery(ref(request)))) as log:
        assert b"".join(log) == b"hello\n"


def test_volumes_of_a_pod_that_does_not_live_are_not_updated(w: World) -> None:
    request = request_for()
    w.dispatcher.create(request)
    w.dispatcher.update(ref(request), {})
    w.dispatcher.delete(ref(request))
    with pytest.raises(Conflict):
        w.dispatcher.update(ref(request), {})
