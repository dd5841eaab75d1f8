"""An application over the in-memory composition, without a socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

from interlink.api.app import Limits, create_app
from tests.api.fakes import Composition

CASES = Path(__file__).parents[2] / "cases" / "wire"


@pytest.fixture
def composition() -> Composition:
    return Composition()


@pytest.fixture
def server(composition: Composition) -> testing.TestClient:
    return testing.TestClient(create_app(composition, limits=Limits(body=100_000, streams=2)))


@pytest.fixture
def sidecar(composition: Composition) -> testing.TestClient:
    return testing.TestClient(create_app(composition.mock, "sidecar"))


@pytest.fixture
def case() -> Any:
    """Return the text of an example of the wire reference."""
    return lambda name: (CASES / f"{name}.json").read_text()


@pytest.fixture
def example(case: Any) -> Any:
    """Return an example of the wire reference as JSON."""
    return lambda name: json.loads(case(name))
