"""Groups and hosts as the inventory files build them up, and the order in which variables override each other.

The rules are Ansible's. A later value replaces an earlier one as a whole (no merging of mappings). Groups
give their variables to their hosts in the order of depth, then `ansible_group_priority`, then name; the
depth is the longest way from `all`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from interlink.config import keys, ranges
from interlink.config.yamlfile import Map, Place, describe

_SECTIONS = ("vars", "children", "hosts")
_PRIORITY = "ansible_group_priority"


@dataclass(eq=False)
class GroupDraft:
    """A group while files are read; `hosts` keeps the order in which they came."""

    name: str
    place: Place
    vars: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    hosts: dict[str, HostDraft] = field(default_factory=dict)
    children: dict[str, GroupDraft] = field(default_factory=dict)
    parents: dict[str, GroupDraft] = field(default_factory=dict)
    priority: int = 1

    def ancestors(self) -> dict[str, GroupDraft]:
        """Return all groups above this one."""
        found: dict[str, GroupDraft] = {}
        waiting = list(self.parents.values())
        while waiting:
            group = waiting.pop()
            if group.name not in found:
                found[group.name] = group
                waiting.extend(group.parents.values())
        return found


@dataclass(eq=False)
class HostDraft:
    """A host while files are read, with the variables that stand beside its name."""

    name: str
    vars: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, GroupDraft] = field(default_factory=dict)


class Tree:
    """All groups and hosts of one inventory; several files may add to the same tree."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupDraft] = {}
        self.hosts: dict[str, HostDraft] = {}
        self._depths: dict[str, int] = {}
        nowhere = Place("", 0)
        self._add_child(self.group("all", nowhere), self.group("ungrouped", nowhere), nowhere)

    def group(self, name: str, place: Place) -> GroupDraft:
        return self.groups.setdefault(name, GroupDraft(name, place))

    def host(self, name: str, group: str, place: Place) -> HostDraft:
        """Put a host into a group; ConfigError for what cannot be a host's name."""
        if not name or name.startswith("-") or any(c.isspace() or ord(c) < 32 or c == "/" for c in name):
            raise place.error(f"{name!r} is no host name; it must not be empty, start with - or contain blanks or /")
        host = self.hosts.setdefault(name, HostDraft(name))
        self.groups[group].hosts[name] = host
        host.groups[group] = self.groups[group]
        return host

    def add_file(self, data: Map) -> None:
        """Add what one inventory file says."""
        if "plugin" in data:
            raise data.place("plugin").error(
                "is the configuration of an inventory plugin, which is not run; save its answer"
            )
        for name, content in data.items():
            self._add_group(name, content, data.place(name))

    def _add_group(self, name: Any, content: Any, place: Place) -> GroupDraft:
        if not isinstance(name, str) or not name or "/" in name:
            raise place.error(f"{name!r} is no group name; write a text, in quotes if it looks like a number")
        if content is not None and not isinstance(content, Map):
            raise place.error(f"the group {name!r} must hold vars, children or hosts, but is {describe(content)}")
        group = self.group(name, place)
        content = content or Map()
        for section, entries in content.items():
            where = content.place(section)
            if section not in _SECTIONS:
                hint = keys.nearest(str(section), _SECTIONS) or "; a group's name belongs below `children`"
                raise where.error(
                    f"{section!r} cannot stand in the group {name!r}, only vars, children and hosts{hint}"
                )
            self._add_section(group, section, _entries(entries, section, where))
        return group

    def _add_section(self, group: GroupDraft, section: str, entries: Map) -> None:
        for key, value in entries.items():
            place = entries.place(key)
            if section == "vars":
                self.set_group_variable(group, key, value, place)
            elif section == "children":
                self._add_child(group, self._add_group(key, value, place), place)
            else:
                self._add_hosts(group, key, value, place)

    def set_group_variable(self, group: GroupDraft, name: Any, value: Any, place: Place) -> None:
        if name == _PRIORITY:
            if isinstance(value, bool) or not str(value).lstrip("+-").isdecimal():
                raise place.error(f"{_PRIORITY}: {value!r} is wrong: write a whole number")
            group.priority = int(value)
        else:
            group.vars[name] = keys.check(name, value, place)
            group.places[name] = place

    def _add_child(self, parent: GroupDraft, child: GroupDraft, place: Place) -> None:
        if child.name in {"all", parent.name, *parent.ancestors()}:
            raise place.error(f"the group {child.name!r} would be its own ancestor, through {parent.name!r}")
        parent.children[child.name] = child
        child.parents[parent.name] = parent

    def _add_hosts(self, group: GroupDraft, pattern: Any, content: Any, place: Place) -> None:
        if not isinstance(pattern, str):
            raise place.error(f"the host name {pattern!r} is {describe(pattern)}; put it in quotes")
        if content is not None and not isinstance(content, Map):
            raise place.error(f"the host {pattern!r} must hold variables, but is {describe(content)}")
        content = content or Map()
        try:
            names, port = ranges.expand(pattern)
        except ValueError as error:
            raise place.error(str(error)) from error
        values = {key: keys.check(key, value, content.place(key)) for key, value in content.items()}
        for name in names:
            # As in Ansible, a port behind a name counts where the host is named for the first time.
            first = {"ansible_port": port} if port is not None and name not in self.hosts else {}
            self.host(name, group.name, place).vars.update(first | values)

    def settle(self) -> None:
        """Complete the tree once all files are read: `all` is above everything, `ungrouped` takes the rest."""
        top = self.groups["all"]
        for group in self.groups.values():
            if group is not top and not group.parents:
                top.children[group.name] = group
                group.parents["all"] = top
        loose = self.groups["ungrouped"]
        for host in self.hosts.values():
            if not set(host.groups) - {"all", "ungrouped"}:
                loose.hosts[host.name] = host
                host.groups["ungrouped"] = loose
            elif loose.hosts.pop(host.name, None):
                del host.groups["ungrouped"]
        self._depths = {"all": 0}

    def depth(self, group: GroupDraft) -> int:
        """Return the length of the longest way from `all`; only after `settle`."""
        if group.name not in self._depths:
            self._depths[group.name] = 1 + max(self.depth(parent) for parent in group.parents.values())
        return self._depths[group.name]

    def line_of(self, groups: dict[str, GroupDraft]) -> list[GroupDraft]:
        """Return the groups and all above them in the order in which their variables are applied."""
        found = {"all": self.groups["all"]}
        for group in groups.values():
            found |= {group.name: group, **group.ancestors()}
        return sorted(found.values(), key=lambda g: (self.depth(g), g.priority, g.name))


def _entries(entries: Any, section: str, place: Place) -> Map:
    """Return a section as a mapping; a single name may stand alone, as Ansible allows."""
    if entries is None:
        return Map()
    if isinstance(entries, str) and section != "vars":
        entries = Map({entries: None})
        entries.file, entries.line = place.file, place.line
    if not isinstance(entries, Map):
        raise place.error(
            f"{section} must be a mapping (each name followed by a colon, without a dash), but is {describe(entries)}"
        )
    return entries
