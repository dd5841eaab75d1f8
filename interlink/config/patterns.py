"""Host patterns of `--limit`, as in Ansible's guide "Patterns: targeting hosts and groups".

`a:b` or `a,b` joins, `:&b` keeps what is in b too, `:!b` takes b away; a part is the name of a host or a
group, a glob, or `~` and a regular expression; `g[0]`, `g[-1]`, `g[1:3]` (both ends count) choose by
position; `@file` holds one pattern a line. The order of parts does not matter: first all that joins, then
`&`, then `!`.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace
from pathlib import Path

from interlink.config import keys, yamlfile
from interlink.errors import ConfigError
from interlink.model.host import Inventory

_SUBSCRIPT = re.compile(r"(?P<name>.+)\[(?:(?P<index>-?\d+)|(?P<first>\d+)(?P<sep>[:-])(?P<last>\d*))\]")
# A colon separates, except inside brackets (web[1:3], [::1]).
_PARTS = re.compile(r"(?:[^,:\[\]]|\[[^\]]*\])+")


def limit(inventory: Inventory, pattern: str) -> Inventory:
    """Return the inventory with the selected hosts alone; its groups keep their names and variables."""
    chosen = set(select(inventory, pattern))
    groups = {
        name: replace(group, hosts=tuple(h for h in group.hosts if h in chosen))
        for name, group in inventory.groups.items()
    }
    return replace(inventory, hosts={n: h for n, h in inventory.hosts.items() if n in chosen}, groups=groups)


def select(inventory: Inventory, pattern: str) -> list[str]:
    """Return the names of the selected hosts in the order of the inventory; ConfigError if there is none."""
    parts = _read(pattern)
    chosen: set[str] = set()
    joins = [p for p in parts if p[0] not in "&!"]
    for part in joins or ["all"]:
        chosen |= _matches(inventory, part)
    for part in parts:
        if part[0] == "&":
            chosen &= _matches(inventory, part[1:])
    for part in parts:
        if part[0] == "!":
            chosen -= _matches(inventory, part[1:])
    if not chosen:
        raise ConfigError(f"--limit {pattern!r} selects none of the {len(inventory.hosts)} hosts")
    return [name for name in inventory.hosts if name in chosen]


def _read(pattern: str) -> list[str]:
    """Split a pattern into its parts, those of `@file` included."""
    parts: list[str] = []
    for piece in _split(pattern):
        if piece.startswith("@"):
            for line in yamlfile.read_text(Path(piece[1:]).expanduser()).splitlines():
                parts += _split(line.strip())
        else:
            parts.append(piece)
    if bad := next((p for p in parts if p in ("!", "&", "~")), None):
        raise ConfigError(f"--limit: {bad!r} lacks its pattern")
    return parts


def _split(pattern: str) -> list[str]:
    """Split at commas; at colons only where there is no comma, and a regular expression stays whole."""
    if "," in pattern:
        pieces = pattern.split(",")
    elif "~" in pattern or (pattern.count(":") > 1 and not _has_names(pattern)):
        pieces = [pattern]
    else:
        pieces = _PARTS.findall(pattern)
    return [piece.strip() for piece in pieces if piece.strip()]


def _has_names(pattern: str) -> bool:
    """Tell `a:b:c` from an IPv6 address such as fe80::1, which is one name."""
    return not re.fullmatch(r"[0-9A-Fa-f:.]*::?[0-9A-Fa-f:.]*", pattern) or "::" not in pattern


def _matches(inventory: Inventory, part: str) -> set[str]:
    if part.startswith("~"):
        return _regex(inventory, part[1:])
    if part in inventory.hosts:
        return {part} | set(_members(inventory, part) if part in inventory.groups else ())
    if match := _SUBSCRIPT.fullmatch(part):
        return set(_slice(_named(inventory, match["name"]), match))
    return set(_named(inventory, part))


def _regex(inventory: Inventory, text: str) -> set[str]:
    try:
        expression = re.compile(text)
    except re.error as error:
        raise ConfigError(f"--limit: ~{text} is no regular expression: {error}") from error
    names = [n for n in (*inventory.groups, *inventory.hosts) if expression.match(n)]
    return {host for name in names for host in _named(inventory, name)}


def _named(inventory: Inventory, name: str) -> list[str]:
    """Return the hosts of a group, or of a glob over groups and hosts; ConfigError for an unknown name."""
    groups = [g for g in inventory.groups if fnmatch.fnmatchcase(g, name)]
    hosts = [h for h in inventory.hosts if fnmatch.fnmatchcase(h, name)]
    if not groups and not hosts:
        hint = keys.nearest(name, [*inventory.groups, *inventory.hosts])
        raise ConfigError(f"--limit: no host or group is called {name!r}{hint}")
    return list(dict.fromkeys([*(host for group in groups for host in _members(inventory, group)), *hosts]))


def _members(inventory: Inventory, group: str) -> list[str]:
    """Return the hosts of a group, its own first, then those of its children, level by level."""
    found: dict[str, None] = {}
    level = [group]
    while level:
        for name in level:
            found.update(dict.fromkeys(inventory.groups[name].hosts))
        level = list(dict.fromkeys(child for name in level for child in inventory.groups[name].children))
    return list(found)


def _slice(names: list[str], match: re.Match[str]) -> list[str]:
    if match["index"] is not None:
        index = int(match["index"])
        return names[index : index + 1 or None] if -len(names) <= index < len(names) else []
    last = int(match["last"]) if match["last"] else len(names) - 1
    return names[int(match["first"]) : last + 1]
