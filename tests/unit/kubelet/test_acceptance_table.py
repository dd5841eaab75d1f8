"""Each line of the acceptance table has its tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
TABLE: dict[str, list[str]] = yaml.safe_load((ROOT / "tests/cases/kubelet/acceptance.yaml").read_text())


@pytest.mark.parametrize("line", TABLE)
def test_a_line_has_tests_that_exist(line: str) -> None:
    assert TABLE[line]
    for where in TABLE[line]:
        file, _, name = where.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, where
