"""Kubernetes manifests: YAML or JSON files with several documents."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from interlink.config.yamlfile import Loader, Map, Place, describe, loading, read_text
from interlink.errors import ConfigError

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _ManifestLoader(Loader):
    """As kubectl reads YAML: a date stays a text, because JSON has none."""

    yaml_implicit_resolvers = {  # noqa: RUF012  PyYAML's own name
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in Loader.yaml_implicit_resolvers.items()
    }


def read(path: str) -> list[Map]:
    """Return the documents of a file, without empty ones; `-` is standard input. ConfigError for all mistakes."""
    file = "<stdin>" if path == "-" else path
    found = parse(sys.stdin.read() if path == "-" else read_text(Path(path)), file)
    if not found:
        raise ConfigError("holds no manifest; a document with `kind: Pod` is needed", file=file)
    return found


def parse(text: str, file: str) -> list[Map]:
    """Read all documents of a text; `file` is what errors name."""
    documents: list[Map] = []
    with loading(_ManifestLoader, text, file) as loader:
        while loader.check_node():
            if node := loader.get_node():
                place = Place(file, node.start_mark.line + 1)
                documents += _mapping(loader.construct_document(node), place)
    return documents


def _mapping(data: Any, place: Place) -> list[Map]:
    if data is None:
        return []
    if not isinstance(data, Map):
        raise place.error(f"a Kubernetes object is needed, found {describe(data)}")
    return [data]
