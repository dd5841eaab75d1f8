"""A real server per test that needs its own, one per module for those that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.process import Server, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, streams=4, body=100_000, upload=1) as started:
        yield started
