"""Hosts with a dispatcher; a killed "process" ends its threads without a word, any other error is reported."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.dispatcher.world import Killed, World, world


@pytest.fixture(autouse=True)
def _killed_threads_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    report = threading.excepthook
    monkeypatch.setattr(
        threading, "excepthook", lambda args: None if issubclass(args.exc_type, Killed) else report(args)
    )


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made
