"""Hosts' variables, their defaults, and virtual nodes."""

from __future__ import annotations

from interlink.model.host import Group, Host, Inventory, nodes


def test_defaults_come_from_the_table() -> None:
    host = Host("h", vars={"interlink_pods": 7})
    assert (host.driver, host.root, host.node) == ("auto", "~/.interlink", "")
    assert (host.get("interlink_pods"), host.get("interlink_keep_seconds")) == (7, 3600)
    assert host.get("interlink_keep_seconds", 5) == 5
    assert host.get("not_ours") is None


def test_a_node_belongs_to_the_outermost_group_that_names_it() -> None:
    farm = {"interlink_node": "farm", "interlink_labels": {"site": "bonn"}}
    inner = {**farm, "interlink_labels": {"site": "bonn", "rack": "1"}}
    hosts = {n: Host(n, ("rack1", "farm"), inner) for n in ("a", "b")} | {
        "c": Host("c", ("farm",), farm),
        "d": Host("d"),
    }
    groups = {
        "all": Group("all"),
        "farm": Group("farm", ("c",), ("rack1",), farm),
        "rack1": Group("rack1", ("a", "b"), (), inner),
    }
    (name, node), *rest = nodes(Inventory(hosts, groups)).items()
    assert not rest
    assert (name, node.group, node.vars) == ("farm", "farm", farm)
    assert [h.name for h in node.hosts] == ["a", "b", "c"]


def test_a_host_may_be_a_node_of_its_own() -> None:
    host = Host("h", ("g",), {"interlink_node": "solo"})
    assert nodes(Inventory({"h": host}, {"g": Group("g", ("h",))})) == {"solo": ("", (host,), host.vars)}
