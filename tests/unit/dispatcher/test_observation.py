"""The dispatcher over mock hosts. What hosts tell, fail to tell, or tell of pods that nobody here knows."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from interlink.drivers.mock import Fault
from interlink.errors import NotFound
from interlink.model.status import Phase
from tests.unit.dispatcher.world import QUICK, World, ref, request_for, wait, world


def test_a_lost_pod_fails_with_its_last_observation(tmp_path: Path) -> None:
    settings = replace(QUICK, intervals=replace(QUICK.intervals, resync=0.05))
    with world(tmp_path, {"h1": {}}, settings) as w:
        request = request_for(restartPolicy="Always")
        w.dispatcher.create(request)
        w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
        driver = w.drivers["h1"]
        with driver._changed:
            del driver._lives[request.pod.uid], driver._statuses[request.pod.uid]
        record = w.until(request.pod.uid, lambda r: r.status.terminal, "the loss is noticed")
        assert (record.status.phase, record.status.reason) == (Phase.FAILED, "ContainerStatusUnknown")
        assert (w.ended(request.pod.uid).exit_code, w.ended(request.pod.uid).reason) == (
            137,
            "ContainerStatusUnknown",
        )
        assert len(w.launches[request.pod.uid]) == 1


def test_unknown_keeps_the_last_observation_and_its_time(w: World) -> None:
    request = request_for()
    w.dispatcher.create(request)
    before = w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs").status
    for driver in w.drivers.values():
        driver.hide(request.pod.uid)
    status = w.until(request.pod.uid, lambda r: r.status.phase is Phase.UNKNOWN, "it is unknown").status
    assert status.containers == before.containers
    assert not status.terminal
    for driver in w.drivers.values():
        driver.hide()
    w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it is known again")


def test_what_happens_while_the_feed_is_cut_is_not_missed(w: World) -> None:
    requests = [request_for(run=0.3) for _ in range(5)]
    for request in requests:
        w.dispatcher.create(request)
    for driver in w.drivers.values():
        driver.faults.inject(Fault.UNAVAILABLE, "changes", times=3)
        driver.cut()
    for request in requests:
        w.until(request.pod.uid, lambda r: r.status.phase is Phase.SUCCEEDED, "it ends")


def test_commands_do_not_grow_with_the_number_of_pods(w: World) -> None:
    counts = []
    for more in (3, 60):
        for _ in range(more):
            w.dispatcher.create(request_for())
        wait(lambda: all(p.status.phase is Phase.RUNNING for p in w.dispatcher.pods()), "all run")
        before = {n: dict(d.calls) for n, d in w.drivers.items()}
        threading.Event().wait(0.5)
        counts.append(sum(sum(d.calls.values()) for d in w.drivers.values()) - sum(map(total, before.values())))
    assert counts == [0, 0]


def total(calls: dict[str, int]) -> int:
    return sum(calls.values())


def test_a_run_leaves_strangers_alone(tmp_path: Path) -> None:
    """Another `run` may have accepted them a moment ago."""
    settings = replace(QUICK, scope="pod", intervals=replace(QUICK.intervals, resync=0.05))
    with world(tmp_path, {"h1": {}}, settings) as w:
        w.drivers["h1"].create(request_for("stranger"))
        wait(lambda: w.dispatcher.hosts()[0].load.get("orphans") == ["stranger"], "it is reported")
        w.kill()
        w.start()
        wait(lambda: w.dispatcher.hosts()[0].load.get("orphans") == ["stranger"], "it is reported again")
        assert w.living() == {"stranger"}
        with pytest.raises(NotFound):
            w.dispatcher.pod("stranger")


def test_pods_that_run_outlive_their_ledger(tmp_path: Path) -> None:
    with world(tmp_path, {"h1": {"interlink_node": "lab"}, "h2": {"interlink_node": "lab"}}) as w:
        requests = [request_for(f"pod-{n}", node="lab") for n in range(4)]
        ended = request_for("ended", node="lab", run=0, code=3)
        for request in (*requests, ended):
            w.dispatcher.create(request)
        w.until("ended", lambda r: r.status.terminal, "it has ended")
        w.stop()
        for file in tmp_path.glob("ledger.db*"):
            file.unlink()
        w.start()
        assert w.until("ended", lambda r: r.status.terminal, "it is known to have ended").status.phase is Phase.FAILED
        for request in requests:
            found = w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it is known to run")
            assert (found.namespace, found.name, found.node) == ("ns", request.pod.name, "lab")
            assert w.dispatcher.create(request).outcome == "existing"
            assert len(w.launches[request.pod.uid]) == 1
            w.dispatcher.delete(ref(request))
        wait(lambda: w.living() == {"ended"}, "they are gone")


def test_a_deleted_pod_that_turns_up_is_deleted_again(tmp_path: Path) -> None:
    """A remote create outlives a lost session and the pod's delete (a host that forgot its tombstone)."""
    settings = replace(QUICK, intervals=replace(QUICK.intervals, resync=0.05))
    with world(tmp_path, {"h1": {}}, settings) as w:
        driver = w.drivers["h1"]
        known, unknown = request_for("known"), request_for("unknown")
        w.dispatcher.create(known)
        w.dispatcher.delete(ref(known))
        w.dispatcher.delete(ref(unknown))
        w.until("known", lambda r: r.gone, "it is gone")
        with driver._changed:
            driver._gone.clear()
        driver.create(known)
        driver.create(unknown)
        wait(lambda: not w.living(), "they are deleted again")
