"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import interlink

ROOT = Path(interlink.__file__).parents[1]


def modules_with_examples() -> list[str]:
    files = (ROOT / "interlink").rglob("*.py")
    found = [path.relative_to(ROOT).with_suffix("") for path in files if ">>> " in path.read_text()]
    return sorted(".".join(path.parts) for path in found)


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
