"""Reads inventories: Ansible's YAML files, directories of them, and lists of hosts such as `a,b`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlink.config import patterns, yamlfile
from interlink.config.tree import GroupDraft, Tree
from interlink.config.varfiles import VarFiles
from interlink.config.yamlfile import Place
from interlink.errors import ConfigError
from interlink.model import variables
from interlink.model.host import Group, Host, Inventory

# What Ansible skips in an inventory directory, beside the directories of variables.
_SKIPPED = ("~", ".orig", ".bak", ".ini", ".cfg", ".retry", ".pyc", ".pyo", ".md", ".txt", ".rst", ".rpm", ".swp")
_VARIABLES = ("group_vars", "host_vars")


def load(sources: Sequence[str], limit: str = "") -> Inventory:
    """Read all sources as one inventory and keep the hosts that `limit` selects; without sources, this machine.

    A source is a file, a directory, or host names separated by commas. ConfigError names file and line of
    a mistake, and is raised as well for an inventory without hosts or a limit that selects none.
    """
    try:
        inventory = _read(sources)
    except OSError as error:  # a directory that we may not enter, a name that is too long
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(error.filename)) from error
    return patterns.limit(inventory, limit) if limit else inventory


def _read(sources: Sequence[str]) -> Inventory:
    tree = Tree()
    looked_at: list[Path] = []
    beside: dict[Path, VarFiles] = {}
    for source in sources:
        path = Path(source).expanduser()
        if "," in source and not path.exists():
            _add_names(tree, source)
            continue
        base = path if path.is_dir() else path.parent
        beside.setdefault(base, VarFiles(base))
        looked_at += _files_of(path) if path.is_dir() else [path]
    for path in looked_at:
        if not path.is_dir():
            text = yamlfile.read_text(path)
            tree.add_file(yamlfile.mapping(yamlfile.parse(text, str(path)), text, str(path)))
    if not sources:
        tree.host("localhost", "ungrouped", Place("", 0)).vars["ansible_connection"] = "local"
    if not tree.hosts:
        raise ConfigError("the inventory has no hosts; write them below all: hosts:", file=", ".join(sources))
    tree.settle()
    return _finish(tree, list(beside.values()), looked_at)


def _add_names(tree: Tree, source: str) -> None:
    """Add the hosts of a list such as `a,b`."""
    for name in filter(None, (part.strip() for part in source.split(","))):
        tree.host(name, "ungrouped", Place(f"-i {source}", 1))


def _files_of(directory: Path) -> list[Path]:
    """Return an inventory directory and what is below it that counts, in the order of names."""
    found = [directory]
    for path in sorted(directory.iterdir(), key=lambda p: p.name):
        if path.name.startswith(".") or path.name.endswith(_SKIPPED) or path.name in _VARIABLES:
            continue
        found += _files_of(path) if path.is_dir() else [path]
    return found


def _finish(tree: Tree, beside: list[VarFiles], files: list[Path]) -> Inventory:
    """Merge all variables and return the tree as plain data."""
    hosts = {draft.name: _host(tree, draft.name, beside) for draft in tree.hosts.values()}
    groups = {draft.name: _group(tree, draft, beside) for draft in tree.groups.values()}
    _refuse_shared_nodes(tree, groups)
    read = dict.fromkeys(str(path) for path in [*files, *(p for b in beside for p in b.looked_at)])
    return Inventory(hosts, groups, tuple(read))


def _host(tree: Tree, name: str, beside: list[VarFiles]) -> Host:
    draft = tree.hosts[name]
    line = tree.line_of(draft.groups)
    merged = _group_variables(line, beside) | draft.vars
    for files in beside:
        merged |= files.of("host_vars", name)
    _unify(merged)
    return Host(name, tuple(g.name for g in reversed(line) if g.name != "all"), merged)


def _group(tree: Tree, draft: GroupDraft, beside: list[VarFiles]) -> Group:
    merged = _group_variables(tree.line_of({draft.name: draft}), beside)
    _unify(merged)
    return Group(draft.name, tuple(draft.hosts), tuple(draft.children), merged)


def _group_variables(line: list[GroupDraft], beside: list[VarFiles]) -> dict[str, Any]:
    """Merge the variables of groups: those in the inventory file, group_vars/all, the other group_vars."""
    merged: dict[str, Any] = {}
    for draft in line:
        merged |= draft.vars
    for drafts in ([g for g in line if g.name == "all"], [g for g in line if g.name != "all"]):
        for files in beside:
            for draft in drafts:
                merged |= files.of("group_vars", draft.name)
    return merged


def _unify(merged: dict[str, Any]) -> None:
    """Give old spellings of connection variables their present names; the present name wins."""
    for old, new in variables.ALIASES.items():
        if old in merged:
            merged.setdefault(new, merged[old])


def _refuse_shared_nodes(tree: Tree, groups: Mapping[str, Group]) -> None:
    """Refuse one node name in two groups of which neither is above the other: a slip, not a wish."""
    owners: dict[str, GroupDraft] = {}
    for draft in tree.groups.values():
        name = draft.vars.get("interlink_node")
        other = owners.setdefault(name, draft) if name else draft
        if other is not draft and draft.name not in other.ancestors() and other.name not in draft.ancestors():
            raise draft.places["interlink_node"].error(
                f"the groups {other.name!r} and {draft.name!r} both name the node {name!r}; put a group above the two"
            )
