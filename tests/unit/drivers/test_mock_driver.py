"""The mock by a clock of the test's own: plans, back-off, faults; and its cost."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from interlink import errors
from interlink.drivers.mock import Fault, MockDriver, Plan
from interlink.model.host import Host
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import Phase, PodStatus


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def pod(uid: str = "u1", annotations: dict[str, str] | None = None, **spec: Any) -> PodRequest:
    marked = {f"mock.interlink.eu/{key}": value for key, value in (annotations or {}).items()}
    containers = [{"name": "main", "image": "x"}]
    raw = {"metadata": {"uid": uid, "name": uid, "annotations": marked}, "spec": {"containers": containers, **spec}}
    return PodRequest(Pod(raw))


def seen(driver: MockDriver, uid: str = "u1") -> PodStatus:
    return driver.listing().pods[uid]


def test_a_plan_is_followed() -> None:
    clock = Clock()
    driver = MockDriver(Host("m"), "s", clock=clock)
    driver.create(pod(annotations={"pending": "2", "run": "3", "code.main": "5"}, restartPolicy="Never"))
    phases = []
    for _ in range(7):
        phases.append(seen(driver).phase)
        clock.now += 1
    assert phases == [Phase.PENDING] * 2 + [Phase.RUNNING] * 3 + [Phase.FAILED] * 2


def test_back_off_doubles() -> None:
    clock = Clock()
    driver = MockDriver(Host("m"), "s", plan=Plan(run=1.0, codes=(1,)), clock=clock)
    driver.create(pod(restartPolicy="Always"))
    starts, count = [], 0
    for second in range(700):
        clock.now = 1_700_000_000.0 + second
        if seen(driver).containers[0].restart_count > count:
            count = seen(driver).containers[0].restart_count
            starts.append(second)
    gaps = [after - before - 1 for before, after in itertools.pairwise(starts)]
    assert gaps == [10, 20, 40, 80, 160, 300]


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.REFUSED, errors.LaunchFailed, False),
        (Fault.UNAVAILABLE, errors.Unavailable, False),
        (Fault.LOST_BEFORE, errors.OutcomeUnknown, False),
        (Fault.LOST_AFTER, errors.OutcomeUnknown, True),
    ],
)
def test_faults(fault: Fault, error: type[Exception], done: bool) -> None:
    driver = MockDriver(Host("m"), "s")
    driver.faults.inject(fault, "create", uid="u1")
    with pytest.raises(error):
        driver.create(pod())
    assert ("u1" in driver.listing().pods) is done
    assert driver.create(pod()).outcome == ("existing" if done else "new")


def test_hidden_pods_are_unknown_and_keep_their_last_observation() -> None:
    driver = MockDriver(Host("m"), "s", plan=Plan(run=60.0))
    driver.create(pod())
    before = seen(driver)
    driver.hide("u1")
    assert seen(driver).phase is Phase.UNKNOWN
    assert seen(driver).containers == before.containers
    driver.hide()
    assert seen(driver) == before


def test_a_cut_feed_is_an_error() -> None:
    driver = MockDriver(Host("m"), "s")
    with driver.changes() as feed:
        driver.cut()
        with pytest.raises(errors.ConnectionLost):
            next(iter(feed))


def test_a_stop_that_takes_long_is_to_be_repeated() -> None:
    clock = Clock()
    driver = MockDriver(Host("m"), "s", plan=Plan(run=600.0, stop=100.0), clock=clock)
    driver.create(pod())
    with pytest.raises(errors.Unavailable):
        driver.delete(PodRef("u1"), 10)
    assert "u1" in driver.listing().pods
    clock.now += 10
    final = driver.delete(PodRef("u1"), 10)
    assert final is not None
    assert final.phase is Phase.FAILED


def test_a_wrong_plan_names_its_annotation() -> None:
    with pytest.raises(errors.InvalidPod) as caught:
        MockDriver(Host("m"), "s").create(pod(annotations={"run": "soon"}))
    assert caught.value.field == "metadata.annotations[mock.interlink.eu/run]"


def test_ten_thousand_pods_are_cheap() -> None:
    clock = Clock()
    driver = MockDriver(Host("m"), "s", clock=clock)
    for number in range(10_000):
        driver.create(pod(f"u{number}", restartPolicy="Never"))
    clock.now += 5
    driver.listing()
    began = time.process_time()
    assert all(status.phase is Phase.SUCCEEDED for status in driver.listing().pods.values())
    assert time.process_time() - began < 5
