"""Login nodes of one cluster as one host."""

from __future__ import annotations

import pytest

from interlink.config import clusters
from interlink.errors import ConfigError
from interlink.model.host import Host, Inventory


def inventory(*hosts: Host) -> Inventory:
    return Inventory({host.name: host for host in hosts})


def login(name: str, **variables: object) -> Host:
    return Host(name, vars={"interlink_cluster": "big", "ansible_host": name, **variables})


def test_login_nodes_become_one_host() -> None:
    found = clusters.merged(inventory(login("l1"), Host("other"), login("l2"))).hosts
    assert list(found) == ["big", "other"]
    assert [member.name for member in found["big"].members] == ["l1", "l2"]
    assert found["other"].members == ()


def test_login_nodes_may_differ_in_the_way_to_them_alone() -> None:
    assert clusters.merged(inventory(login("l1", interlink_sessions=4), login("l2"))).hosts
    with pytest.raises(ConfigError, match="interlink_partition"):
        clusters.merged(inventory(login("l1", interlink_partition="a"), login("l2")))


def test_the_clusters_name_is_its_own() -> None:
    with pytest.raises(ConfigError, match="big"):
        clusters.merged(inventory(Host("big"), login("l1")))
