"""Inventories and settings written out again, for another machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from interlink.model import variables
from interlink.model.host import Host, Inventory


class _Dumper(yaml.SafeDumper):
    """Plain data, without anchors: people read it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(data: Any) -> str:
    """Return data as YAML in the order in which it is given."""
    return yaml.dump(_plain(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def flow(data: Any) -> str:
    """Return data as YAML on one line, as one writes it in an inventory."""
    return yaml.dump(_plain(data), Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=10**6).strip()


def inventory(found: Inventory, own: Mapping[str, Mapping[str, Any]]) -> str:
    """Return an inventory as one file, its hosts with their variables of ours merged; `own` replaces some of a host's.

    Variables that we do not read stay behind: an Ansible inventory may hold passwords.
    """
    hosts = {name: {**_ours(host.vars), **own.get(name, {})} for name, host in found.hosts.items()}
    groups = {
        group.name: {
            "hosts": {name: None for name in group.hosts if name in found.hosts},
            "children": {name: None for name in group.children if name in found.groups},
            "vars": _ours(group.vars),
        }
        for group in found.groups.values()
        if group.name not in ("all", "ungrouped")
    }
    children = {name: {k: v for k, v in content.items() if v} or None for name, content in groups.items()}
    return dump({"all": {"hosts": hosts, "children": children}})


def without(found: Inventory, gone: Mapping[str, Host]) -> Inventory:
    """Return the inventory without some hosts."""
    hosts = {name: host for name, host in found.hosts.items() if name not in gone}
    return Inventory(hosts, found.groups, found.files)


def _ours(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in variables.ALL and value is not None}


def _plain(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key) if not isinstance(key, int) else key: _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    return str(data) if isinstance(data, str) else data
