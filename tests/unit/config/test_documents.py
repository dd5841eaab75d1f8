"""Manifests as kubectl reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlink.config import documents
from interlink.errors import ConfigError


def test_several_documents_empty_ones_left_out() -> None:
    found = documents.parse("kind: A\n---\n---\nkind: B\nwhen: 2026-01-01\nmode: 0755\n", "f")
    assert [dict(d) for d in found] == [{"kind": "A"}, {"kind": "B", "when": "2026-01-01", "mode": 0o755}]


def test_json_is_yaml(tmp_path: Path) -> None:
    file = tmp_path / "pod.json"
    file.write_text(json.dumps({"kind": "Pod", "spec": {"containers": []}}))
    assert documents.read(str(file)) == [{"kind": "Pod", "spec": {"containers": []}}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", r"f:2: not valid YAML"),
        ("kind: A\nkind: B\n", r"f:2: the key 'kind' comes a second time \(first in line 1\)"),
        ("kind: A\n---\n- 1\n", r"f:\d+: a Kubernetes object is needed, found a list"),
    ],
)
def test_a_mistake_is_shown_where_it_stands(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        documents.parse(text, "f")


def test_a_file_without_manifest_says_what_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing\n")
    with pytest.raises(ConfigError, match="kind: Pod"):
        documents.read(str(file))
