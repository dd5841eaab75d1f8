"""docs/inventory.md, made from the table of variables; `python -m interlink.config.reference` prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from interlink.config import render
from interlink.config.settings import OPTIONS
from interlink.model import variables
from interlink.model.variables import Variable

_HEAD = """\
# Inventory and settings

*Made from the program's own tables by `python -m interlink.config.reference`; a test holds it current.*

The inventory is Ansible's YAML: groups, hosts, ranges such as `node[01:16]`, `group_vars/` and `host_vars/` beside the
file, patterns by `--limit`. An inventory that works with Ansible works here; what we do not know is left alone, and an
`interlink_*` variable that does not exist is an error with its line and the nearest right name. Jinja templates and
Ansible Vault are not read. `inventory/example.yaml` shows most of it.

A group with `interlink_node: NAME` is the virtual node NAME. The machines of the group `interlink_server` run the
server; they take no pods unless `interlink_driver` or `interlink_node` is set for them. Without such a group,
`interlink deploy` installs the server on the machine where it is called.
"""
_SETTINGS = """\
## Settings of a process

`interlink.yaml` (in `~/.config/interlink`, in `/etc/interlink`, or by `--config-file`); flags win over environment
variables, these over the file. `interlink deploy` writes this file for the server.

The server also reads the settings of interLinks that came before it, with less weight than its own:
`InterLinkConfig.yaml` (by `INTERLINKCONFIGPATH`, `--config-file`, or in `/etc/interlink`) with `InterlinkAddress`,
`InterlinkPort`, `SidecarURL`, `SidecarPort`, `SidecarService`, `VKTokenFile`, `VerboseLogging`, `ErrorsOnlyLogging`,
and over it the variables `INTERLINKURL`, `INTERLINKPORT`, `SIDECARURL`, `SIDECARPORT`, `SIDECARSERVICE`,
`VKTOKENFILE`. With a sidecar's URL it passes all pods on to that plugin. Keys that do nothing are warned of, with
their line. Where `REMOTE_HOST`, `REMOTE_USER`, `REMOTE_KEY` (the key itself), `REMOTE_KNOWN_HOSTS` and `REMOTE_PORT`
are set, as KNoC's `remote-secret` sets them, and no inventory is named, that machine is the inventory.
"""


def document() -> str:
    """Return the whole page."""
    parts = [_HEAD, *_section("Variables of interLink", variables.OURS)]
    parts += _section("Variables of Ansible that are read", variables.ANSIBLES)
    aliases = ", ".join(f"`{old}` ({new})" for old, new in variables.ALIASES.items())
    parts += [f"Older spellings are read as well: {aliases}.\n", _SETTINGS, _options()]
    return "\n".join(parts)


def _section(title: str, table: Mapping[str, Variable]) -> Iterator[str]:
    yield f"## {title}\n"
    rows = [[f"`{row.name}`", row.doc, _value(row.default), _value(row.example)] for row in table.values()]
    yield _table(("variable", "meaning", "default", "example"), rows)


def _options() -> str:
    rows = [[f"`{o.name}`", f"`{o.variable}`", o.doc, f"`{o.example}`"] for o in OPTIONS.values()]
    return _table(("setting", "variable", "meaning", "example"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def _value(value: Any) -> str:
    if value in (None, "", (), []):
        return ""
    if isinstance(value, str | int | float):
        return f"`{value}`"
    return "`" + render.flow(value) + "`"


if __name__ == "__main__":
    sys.stdout.write(document())
