"""A killed "process" ends its threads without a word; any other end of a thread is an error as everywhere."""

from __future__ import annotations

import threading

import pytest

from tests.unit.dispatcher.world import Killed


@pytest.fixture(autouse=True)
def _killed_threads_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    report = threading.excepthook
    monkeypatch.setattr(
        threading, "excepthook", lambda args: None if issubclass(args.exc_type, Killed) else report(args)
    )
