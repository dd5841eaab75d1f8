"""The contract suite over every Driver: each test runs once per factory that has what the test needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.factories import all_factories
from tests.contract.support import FEATURES, Rig


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*features): run only over drivers that have all of them")
    config.addinivalue_line("markers", "lacks(*features): run only over drivers that have none of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "rig" not in metafunc.fixturenames:
        return
    needed = {name for mark in metafunc.definition.iter_markers("needs") for name in mark.args}
    lacked = {name for mark in metafunc.definition.iter_markers("lacks") for name in mark.args}
    assert needed | lacked <= FEATURES, f"unknown features: {needed | lacked}"
    factories = [f for f in all_factories() if needed <= f.FEATURES and not lacked & f.FEATURES]
    params = [pytest.param(f, id=f.NAME, marks=f.MARKS) for f in factories]
    metafunc.parametrize("rig", params, indirect=True, scope="session")


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with request.param.rig(request) as made:
        assert made.features == request.param.FEATURES
        yield made
