"""Login nodes of one Slurm cluster become one host, whose name is the cluster's (interlink_cluster). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from interlink.errors import ConfigError
from interlink.model.host import Host, Inventory


def merged(inventory: Inventory) -> Inventory:
    """Return the inventory with a host for each cluster in place of its login nodes.

    ConfigError if login nodes of one cluster differ in what concerns pods, or its name is another host's.
    """
    hosts: dict[str, Host] = {}
    for host in inventory.hosts.values():
        name = str(host.get("interlink_cluster"))
        if not name:
            hosts[host.name] = _unless_taken(hosts, host)
        elif name in hosts and hosts[name].members:
            hosts[name] = _joined(hosts[name], host)
        else:
            hosts[name] = _unless_taken(hosts, replace(host, name=name, members=(host,)))
    return replace(inventory, hosts=hosts)


def _joined(cluster: Host, host: Host) -> Host:
    first = cluster.members[0]
    ours, theirs = _of_pods(first.vars), _of_pods(host.vars)
    different = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    if different:
        raise ConfigError(
            f"the login nodes {first.name} and {host.name} of cluster {cluster.name} differ in {different[0]}; "
            "write it once, with the group of both"
        )
    return replace(cluster, members=(*cluster.members, host))


def _of_pods(values: Mapping[str, object]) -> dict[str, object]:
    """Return the variables that do not concern the way to a login node."""
    way = (
        "interlink_known_hosts",
        "interlink_sessions",
        "interlink_connects_per_minute",
        "interlink_credential_command",
    )
    return {key: value for key, value in values.items() if key.startswith("interlink_") and key not in way}


def _unless_taken(hosts: Mapping[str, Host], host: Host) -> Host:
    if host.name in hosts:
        raise ConfigError(f"{host.name!r} is the name of a host and of an interlink_cluster; give one another name")
    return host
