"""Hosts, groups and the inventory as data; reading the YAML file is `config`'s business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from interlink.model import variables


@dataclass(frozen=True)
class Host:
    """One machine of the inventory with its variables, groups' and its own merged as Ansible merges them.

    A Slurm cluster is a host, too, that is reached by any of its `members`.
    """

    name: str
    groups: tuple[str, ...] = ()  # nearest first, without `all`
    vars: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[Host, ...] = ()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a variable; where it is not set, `default`, or else the default of `model.variables`."""
        value = self.vars.get(key)
        if value is not None:
            return value
        return variables.default(key) if default is None else default

    @property
    def driver(self) -> str:
        """docker, slurm, shell, mock; "auto" takes the first that works."""
        return str(self.get("interlink_driver"))

    @property
    def root(self) -> str:
        """The directory on the host that holds everything of ours; `~` is expanded there."""
        return str(self.get("interlink_root"))

    @property
    def node(self) -> str:
        """The virtual node that this host serves, or ""."""
        return str(self.get("interlink_node"))


@dataclass(frozen=True)
class Group:
    """A named set of hosts and groups; `vars` are its own and those it inherits, merged."""

    name: str
    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """All hosts and groups, in the order of the file."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, Group] = field(default_factory=dict)
    files: tuple[str, ...] = ()  # files and directories that were looked at, to notice changes


def servers(inventory: Inventory) -> dict[str, Host]:
    """Return the machines of the group interlink_server: they run the server."""
    return {name: host for name, host in inventory.hosts.items() if variables.SERVER_GROUP in host.groups}


def runs_pods(host: Host) -> bool:
    """Tell whether pods may go to a host: to the server's own machine only if the inventory says by what."""
    if variables.SERVER_GROUP not in host.groups:
        return True
    return any(host.vars.get(name) for name in ("interlink_driver", "interlink_node"))


def workers(inventory: Inventory) -> Inventory:
    """Return the inventory without machines that run no pods."""
    return replace(inventory, hosts={name: host for name, host in inventory.hosts.items() if runs_pods(host)})


class Node(NamedTuple):
    """A virtual node: the outermost group that names it ("" if hosts do), its hosts, the group's variables."""

    group: str
    hosts: tuple[Host, ...]
    vars: Mapping[str, Any]


def nodes(inventory: Inventory) -> dict[str, Node]:
    """Return the virtual nodes by name. A host serves one node: that of its merged variables."""
    members: dict[str, list[Host]] = {}
    for host in inventory.hosts.values():
        if host.node:
            members.setdefault(host.node, []).append(host)
    return {name: _node(inventory, name, hosts) for name, hosts in members.items()}


def _node(inventory: Inventory, name: str, hosts: list[Host]) -> Node:
    outermost_first = [inventory.groups[g] for g in ("all", *reversed(hosts[0].groups)) if g in inventory.groups]
    group = next((g for g in outermost_first if g.vars.get("interlink_node") == name), None)
    return Node(group.name if group else "", tuple(hosts), group.vars if group else hosts[0].vars)
