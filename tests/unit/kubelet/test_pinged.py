"""A configured node and what the pings of its server say (the resources and taints of newer servers)."""

from __future__ import annotations

import pytest

from interlink.kubelet.fleet import pinged
from interlink.kubelet.taints import NO_SCHEDULE
from interlink.model.driver import NodeRecord, Ping, Taint

SITE, GPU = Taint("example.org/site"), Taint("example.org/gpu", "", "NoExecute")
HAS = {"cpu": "2", "pods": "10", "nvidia.com/gpu": "4"}
OWN = NodeRecord("n", HAS, HAS, {}, (NO_SCHEDULE, SITE), ())


@pytest.mark.parametrize(
    ("resources", "capacity"),
    [
        ({}, HAS),
        ({"cpu": "8", "example.org/fpga": "1"}, {**HAS, "cpu": "8", "example.org/fpga": "1"}),
        ({"cpu": "many", "pods": "20", "nvidia.com/gpu": "0"}, {**HAS, "pods": "20", "nvidia.com/gpu": "0"}),
        ({"cpu": "-1"}, HAS),
    ],
)
def test_amounts_change_one_by_one(resources: dict[str, str], capacity: dict[str, str]) -> None:
    found = pinged(OWN, Ping(resources=resources))
    assert found.capacity == found.allocatable == capacity
    assert pinged(OWN, Ping(resources=resources), fixed=True) == OWN


@pytest.mark.parametrize(
    ("said", "taints"),
    [
        (None, (NO_SCHEDULE, SITE)),
        ((), (NO_SCHEDULE,)),
        ((GPU, Taint("x", "", "Never")), (NO_SCHEDULE, GPU, Taint("x", "", "NoSchedule"))),
    ],
)
def test_taints_change_as_a_whole(said: tuple[Taint, ...] | None, taints: tuple[Taint, ...]) -> None:
    assert pinged(OWN, Ping(taints=said)).taints == taints
