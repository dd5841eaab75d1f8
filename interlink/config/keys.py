"""Checks an inventory's variables against `interlink.model.variables`, the one table of those that we read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from interlink.config.yamlfile import Place, Vaulted
from interlink.model import variables
from interlink.model.variables import Variable

_TEMPLATES = ("{{", "{%")


def check(name: str, value: Any, place: Place) -> Any:
    """Return the value as the program wants it; others' variables are returned as they are.

    Raises ConfigError for an `interlink_*` variable that does not exist and for a wrong value.
    """
    row = variables.ALL.get(variables.ALIASES.get(name, name))
    if row is None:
        if name.startswith(variables.PREFIX):
            raise place.error(f"{name} is no variable of interLink{nearest(name, variables.OURS)}")
        return value
    if value is None:
        return None
    _refuse_unreadable(name, value, place)
    try:
        return row.kind(value)
    except ValueError as error:
        raise place.error(f"{name}: {_shown(value)} is wrong: {error} (for example {name}: {_example(row)})") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" for the known name that is most alike, or ""."""
    bare = {each.removeprefix(variables.PREFIX): each for each in known}  # a common prefix would make all alike
    found = difflib.get_close_matches(name.removeprefix(variables.PREFIX), bare, n=1, cutoff=0.6)
    return f"; did you mean {bare[found[0]]}?" if found else ""


def _refuse_unreadable(name: str, value: Any, place: Place) -> None:
    if isinstance(value, Vaulted):
        raise place.error(
            f"{name} is encrypted by Ansible Vault, which interLink does not read; write it in plain text"
        )
    if any(mark in repr(value) for mark in _TEMPLATES):  # no nesting of values writes these marks
        raise place.error(f"{name} holds a Jinja template, which interLink does not expand; write the value itself")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _example(row: Variable) -> str:
    """Write the example on one line, as YAML's flow style has it."""
    if isinstance(row.example, dict):
        return "{" + ", ".join(f"{k}: {v}" for k, v in row.example.items()) + "}"
    if isinstance(row.example, list):
        return "[" + ", ".join(row.example) + "]"
    return str(row.example)
