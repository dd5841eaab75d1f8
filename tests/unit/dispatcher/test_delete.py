"""The dispatcher over mock hosts. A delete is answered at once, repeated until the host confirms, and never undone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from interlink.drivers.mock import Fault
from interlink.model.status import Phase
from tests.unit.dispatcher.world import QUICK, World, ref, request_for, wait, world


def test_a_delete_is_answered_at_once_and_carried_out(w: World) -> None:
    request = request_for()
    w.dispatcher.create(request)
    assert w.dispatcher.delete(ref(request)) is None
    record = w.until(request.pod.uid, lambda r: r.gone, "it is gone")
    assert w.living() == set()
    assert record.target == "deleted"
    assert record.status.terminal
    assert w.ended(request.pod.uid).exit_code == 143
    assert w.dispatcher.pods() == []
    assert w.dispatcher.status([ref(request)]) == []
    assert w.dispatcher.create(request).outcome == "deleted"


def test_the_final_status_of_an_ended_pod_stays(w: World) -> None:
    request = request_for(run=0.01, code=7)
    w.dispatcher.create(request)
    before = w.until(request.pod.uid, lambda r: r.status.terminal, "it ends").status
    w.dispatcher.delete(ref(request))
    assert w.until(request.pod.uid, lambda r: r.gone, "it is gone").status == before


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.LOST_BEFORE, Fault.UNAVAILABLE, Fault.REFUSED])
def test_a_delete_is_repeated_until_the_host_confirms(w: World, fault: Fault) -> None:
    request = request_for()
    w.dispatcher.create(request)
    for driver in w.drivers.values():
        driver.faults.inject(fault, "delete", times=3)
    w.dispatcher.delete(ref(request))
    w.until(request.pod.uid, lambda r: r.gone, "it is gone")
    assert w.living() == set()


def test_a_pod_without_a_host_is_deleted_without_one(tmp_path: Path) -> None:
    with world(tmp_path, {"h1": {}}, replace(QUICK, launch_wait=0.0)) as w:
        request = request_for(requests={"cpu": "1000"})
        w.dispatcher.create(request)
        w.dispatcher.delete(ref(request))
        record = w.until(request.pod.uid, lambda r: r.gone, "it is gone")
        assert record.status.phase is Phase.FAILED
        assert w.ended(request.pod.uid).exit_code == 137
        assert w.ended(request.pod.uid).reason == "ContainerStatusUnknown"
        assert w.drivers["h1"].calls.get("delete", 0) == 0


def test_a_delete_before_its_create_wins(w: World) -> None:
    request = request_for()
    w.dispatcher.delete(ref(request))
    assert w.dispatcher.create(request).outcome == "deleted"
    w.kill()
    w.start()
    assert w.dispatcher.create(request).outcome == "deleted"
    assert w.living() == set()
    assert w.dispatcher.pods() == []


def test_the_pods_own_grace_counts_unless_the_delete_has_one(w: World) -> None:
    stubborn = {"mock.interlink.eu/stop.main": "forever"}
    request = request_for(terminationGracePeriodSeconds=600)
    request.pod.raw["metadata"]["annotations"].update(stubborn)  # type: ignore[index]
    w.dispatcher.create(request)
    w.dispatcher.delete(ref(request))
    wait(lambda: sum(d.calls.get("delete", 0) for d in w.drivers.values()) >= 2, "it is asked again")
    assert not w.record(request.pod.uid).gone
    w.dispatcher.delete(ref(request), 0)
    w.until(request.pod.uid, lambda r: r.gone, "it is gone")
