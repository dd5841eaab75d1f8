"""The mock driver: no processes, so only what a plan can say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from interlink.drivers.mock import Fault, MockDriver
from interlink.model.host import Host
from tests.contract.support import Rig

NAME = "mock"
MARKS = ()
FEATURES = frozenset({"host", "usage", "restarts"})


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    driver = MockDriver(Host("mock"), "contract")
    losses = {"before": Fault.LOST_BEFORE, "after": Fault.LOST_AFTER}
    yield Rig(driver, FEATURES, lose=lambda uid, when: driver.faults.inject(losses[when], "create", uid=uid))
