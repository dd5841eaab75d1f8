"""Mappings whose keys are read in any case, for the configuration files of older virtual kubelets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from interlink.config import yamlfile
from interlink.config.yamlfile import Map, Place
from interlink.model.kinds import Kind

T = TypeVar("T")


class Section:
    """One mapping of such a file, and which of its keys have been asked for; errors name file and line."""

    def __init__(self, data: Map, name: str = "") -> None:
        self._data, self._name = data, name
        self._keys: dict[str, Any] = {}
        for key in data:
            self._keys.setdefault(str(key).lower(), key)
        self._read: set[str] = set()

    @classmethod
    def load(cls, path: Path) -> Section:
        """Read a YAML or JSON file; ConfigError if it is none, or no mapping."""
        text = yamlfile.read_text(path)
        return cls(yamlfile.mapping(yamlfile.parse(text, str(path)), text, str(path)))

    def get(self, key: str, kind: Callable[[Any], T]) -> T | None:
        """Return a value by `kind`, a check of model.kinds; None if the key is missing or null."""
        self._read.add(key.lower())
        value = self._data.get(self._keys.get(key.lower()))
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError as error:
            raise self.place(key).error(f"{self._path(key)}: {str(value)[:60]!r} is wrong: {error}") from error

    def section(self, key: str) -> Section:
        """Return a nested mapping, an empty one if the key is missing."""
        self._read.add(key.lower())
        value = self._data.get(self._keys.get(key.lower()))
        return Section(self._map(key, value), self._path(key))

    def sections(self, key: str) -> Iterator[Section]:
        """Return the mappings of a list."""
        self._read.add(key.lower())
        value = self._data.get(self._keys.get(key.lower()))
        if value is not None and not isinstance(value, list):
            raise self.place(key).error(f"{self._path(key)}: a list is needed, found {yamlfile.describe(value)}")
        for item in value or ():
            yield Section(self._map(key, item), self._path(key))

    def items(self, key: str, kind: Kind) -> dict[str, Any]:
        """Return a list of `name=value`, or a mapping, as a mapping of which `kind` approves."""
        return self.get(key, lambda value: kind(_pairs(value))) or {}

    def place(self, key: str) -> Place:
        return self._data.place(self._keys.get(key.lower()))

    def unread(self) -> list[tuple[str, Place]]:
        """Return the keys that nobody has asked for."""
        return [
            (self._path(str(key)), self._data.place(key)) for low, key in self._keys.items() if low not in self._read
        ]

    def _map(self, key: str, value: Any) -> Map:
        if value is None:
            value = Map()
            value.file, value.line = self._data.file, self.place(key).line
        if not isinstance(value, Map):
            raise self.place(key).error(f"{self._path(key)}: a mapping is needed, found {yamlfile.describe(value)}")
        return value

    def _path(self, key: str) -> str:
        """Name a key as the file spells it."""
        spelt = str(self._keys.get(key.lower(), key))
        return f"{self._name}.{spelt}" if self._name else spelt


def _pairs(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list):
        raise ValueError("write a list such as [key=value]")
    words = [str(item).partition("=") for item in value]
    if any(not mark for _, mark, _ in words):
        raise ValueError("write each as key=value")
    return {key: text for key, _, text in words}
