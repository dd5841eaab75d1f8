"""`group_vars/` and `host_vars/` beside an inventory file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interlink.config import keys, yamlfile

_SUFFIXES = ("", ".yml", ".yaml", ".json")


class VarFiles:
    """Reads each file of variables once, and remembers the files and directories in which it looked."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.looked_at: list[Path] = [base / "group_vars", base / "host_vars"]
        self._cache: dict[tuple[str, str], dict[str, Any]] = {}

    def of(self, kind: str, name: str) -> dict[str, Any]:
        """Return the variables for a name; `kind` is group_vars or host_vars."""
        if (kind, name) not in self._cache:
            self._cache[kind, name] = self._load(self.base / kind, name)
        return self._cache[kind, name]

    def _load(self, directory: Path, name: str) -> dict[str, Any]:
        if "/" in name or not directory.is_dir():
            return {}
        merged: dict[str, Any] = {}
        for path in _files(directory, name):
            self.looked_at.append(path)
            if not path.is_dir():
                merged.update(_variables(path))
        return merged


def _files(directory: Path, name: str) -> list[Path]:
    """Return the first of NAME (also a directory), NAME.yml, NAME.yaml and NAME.json, with what is below it."""
    for suffix in _SUFFIXES:
        path = directory / f"{name}{suffix}"
        if path.is_dir():
            if not suffix:
                return _below(path)
        elif path.exists():
            return [path]
    return []


def _below(directory: Path) -> list[Path]:
    """Return a directory, and what is below it that counts, in the order of names."""
    found = [directory]
    for path in sorted(directory.iterdir(), key=lambda p: p.name):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            found += [] if path.suffix else _below(path)
        elif path.suffix in _SUFFIXES:
            found.append(path)
    return found


def _variables(path: Path) -> dict[str, Any]:
    text = yamlfile.read_text(path)
    data = yamlfile.parse(text, str(path))
    if data is None:
        return {}
    variables = yamlfile.mapping(data, text, str(path))
    return {key: keys.check(key, value, variables.place(key)) for key, value in variables.items()}
