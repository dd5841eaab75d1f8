"""YAML files whose mappings remember the line of every key, so that a mistake can be shown where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML without libyaml: slower by ten times, and the same in all else
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

from interlink.errors import ConfigError

_INI = re.compile(r"^\[[\w.:-]+\]\s*$|^[\w.:\[\]-]+\s+\w+=", re.MULTILINE)
_VAULT = "$ANSIBLE_VAULT;"
_LIMIT = 64 << 20  # bytes; what is larger is no file that a person wrote

CONVERT = "ansible-inventory -i {file} --list --yaml --output inventory.yaml"


@dataclass(frozen=True)
class Place:
    """Where something stands."""

    file: str
    line: int

    def error(self, message: str) -> ConfigError:
        return ConfigError(message, file=self.file, line=self.line)


class Map(dict[Any, Any]):
    """A mapping that knows the place of its keys; in all else a dict."""

    file: str = ""
    line: int = 0
    lines: Mapping[Any, int] = {}

    def place(self, key: Any = None) -> Place:
        """Return the place of a key, or of the mapping itself."""
        return Place(self.file, self.lines.get(key, self.line))


class Vaulted(str):
    """A value that Ansible Vault has encrypted; it is carried along, and refused where it is needed."""


class Loader(_SafeLoader):
    """YAML 1.1 as Ansible reads it, but a key that comes twice is an error."""

    file = ""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Resolve `<<`; called before the first construction, while the node is as it was written."""
        self._refuse_duplicates(node)
        super().flatten_mapping(node)

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        if getattr(node, "seen", False):
            return
        node.seen = True  # type: ignore[attr-defined]
        first: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if (key.tag, key.value) in first:
                    raise ConfigError(
                        f"the key {key.value!r} comes a second time (first in line {first[key.tag, key.value]});"
                        " join the two",
                        file=self.file,
                        line=line,
                    )
                first[key.tag, key.value] = line


def _construct_map(loader: Loader, node: yaml.MappingNode) -> Any:
    data = Map()
    data.file, data.line = loader.file, node.start_mark.line + 1
    yield data
    data.update(loader.construct_mapping(node))
    data.lines = {
        loader.construct_object(key): key.start_mark.line + 1
        for key, _ in node.value
        if isinstance(key, yaml.ScalarNode)
    }


def _construct_vaulted(loader: Loader, node: yaml.Node) -> Vaulted:
    return Vaulted(loader.construct_scalar(node))  # type: ignore[arg-type]


def _construct_unsafe(loader: Loader, node: yaml.Node) -> Any:
    return loader.construct_scalar(node)  # type: ignore[arg-type]


Loader.add_constructor("tag:yaml.org,2002:map", _construct_map)
Loader.add_constructor("!vault", _construct_vaulted)
Loader.add_constructor("!vault-encrypted", _construct_vaulted)
Loader.add_constructor("!unsafe", _construct_unsafe)


def load(path: Path) -> Any:
    """Read a file with one YAML document; None if it is empty. ConfigError for all that can be wrong."""
    return parse(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Read a text file; ConfigError says why it cannot be read."""
    try:
        if path.is_file() and path.stat().st_size > _LIMIT:
            raise ConfigError("the file is larger than 64 MiB", file=str(path))
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", file=str(path)) from error


def parse(text: str, file: str) -> Any:
    """Read one YAML document from a text; `file` is what errors name."""
    if text.startswith(_VAULT):
        raise ConfigError(f"is encrypted by Ansible Vault; decrypt it first: ansible-vault decrypt {file}", file=file)
    try:
        with loading(Loader, text, file) as loader:
            return loader.get_single_data()
    except ConfigError as error:
        if isinstance(error.__cause__, yaml.YAMLError):
            _explain(text, file, error)
        raise


@contextmanager
def loading(kind: type[Loader], text: str, file: str) -> Iterator[Loader]:
    """Give a loader for a text, and make a ConfigError of all that can be wrong while it is used."""
    loader = kind(text)
    loader.file = file
    try:
        yield loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"not valid YAML: {problem}", file=file, line=mark.line + 1 if mark else None) from error
    except (ValueError, RecursionError) as error:  # an impossible date, or nested beyond reason
        raise ConfigError(f"not valid YAML: {error}", file=file) from error
    finally:
        loader.dispose()


def _explain(text: str, file: str, cause: Exception | None = None) -> None:
    """Raise a better error than YAML's for the files that people most often mistake for YAML."""
    if text.startswith("#!"):
        raise ConfigError(f"is a script, which is not run; save its answer: {CONVERT.format(file=file)}", file=file)
    if match := _INI.search(text):
        line = text.count("\n", 0, match.start()) + 1
        hint = f"looks like Ansible's INI format; convert it to YAML: {CONVERT.format(file=file)}"
        raise ConfigError(hint, file=file, line=line) from cause


def mapping(data: Any, text: str, file: str) -> Map:
    """Return the document as a mapping; ConfigError for any other shape, naming INI where it looks like it."""
    if isinstance(data, Map):
        return data
    _explain(text, file)
    found = "the file is empty" if data is None else f"found {describe(data)}"
    raise ConfigError(f"a mapping (lines of `key: value`) is needed, {found}", file=file)


def describe(value: Any) -> str:
    """Name a value's shape as YAML's users do."""
    names = {
        dict: "a mapping",
        Map: "a mapping",
        list: "a list",
        str: "a text",
        bool: "true or false",
        type(None): "nothing",
    }
    return names.get(type(value), f"a {type(value).__name__}")
