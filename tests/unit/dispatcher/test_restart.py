"""The dispatcher over mock hosts. What a process leaves behind is taken up by the next one, or by another beside it."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interlink.dispatcher import Dispatcher
from interlink.drivers.mock import Fault
from interlink.errors import NotFound, Unavailable
from interlink.ledger import FileLeases, FilePayloads, Ledger
from interlink.model.pod import PodRef
from interlink.model.status import Phase, Running
from tests.unit.dispatcher.world import QUICK, World, ref, request_for, wait, world

# Restart


def test_everything_is_resumed_after_a_kill(w: World) -> None:
    running, deleted, ending = request_for("running"), request_for("deleted"), request_for("ending", run=0.2, code=4)
    for request in (running, deleted, ending):
        w.dispatcher.create(request)
    for driver in w.drivers.values():
        driver.faults.inject(Fault.UNAVAILABLE, "delete", times=10_000)
        driver.faults.inject(Fault.UNAVAILABLE, times=10_000)
    w.dispatcher._settings = replace(w.dispatcher._settings, launch_wait=0.0)
    w.dispatcher.delete(ref(deleted))
    waiting = request_for("waiting")
    w.dispatcher.create(waiting)
    w.kill()
    for driver in w.drivers.values():
        driver.faults.clear()
    w.start()
    w.until("deleted", lambda r: r.gone, "it is gone")
    w.until("waiting", lambda r: r.status.phase is Phase.RUNNING, "it runs")
    w.until("ending", lambda r: r.status.phase is Phase.FAILED, "it has ended")
    w.until("running", lambda r: isinstance(r.status.containers[0].state, Running), "it runs on")
    assert w.living() == {"running", "waiting", "ending"}
    assert {uid: len(hosts) for uid, hosts in w.launches.items()} == dict.fromkeys(
        ("running", "deleted", "ending", "waiting"), 1
    )


def test_final_statuses_outlive_the_host_and_the_process(w: World) -> None:
    request = request_for(run=0.01, code=9)
    w.dispatcher.create(request)
    before = w.until(request.pod.uid, lambda r: r.status.terminal, "it ends").status
    w.stop()
    w.drivers.clear()  # the hosts have forgotten everything
    w.start()
    assert w.status(request.pod.uid) == before
    w.dispatcher.delete(ref(request))
    w.until(request.pod.uid, lambda r: r.gone, "it is gone")
    w.kill()
    w.start()
    assert w.status(request.pod.uid) == before
    assert w.record(request.pod.uid).gone


def test_old_rows_are_forgotten(tmp_path: Path) -> None:
    with world(tmp_path, settings=replace(QUICK, keep_deleted=0.0, keep_unknown=0.0)) as w:
        request = request_for()
        w.dispatcher.create(request)
        w.dispatcher.delete(ref(request))
        w.dispatcher.delete(PodRef("unknown"))
        w.until(request.pod.uid, lambda r: r.gone, "it is gone")
        w.dispatcher._housekeeper._forget_due = 0.0

        def forgotten() -> bool:
            try:
                w.dispatcher.pod(request.pod.uid)
            except NotFound:
                return True
            return False

        wait(forgotten, "it is forgotten")
        assert w.dispatcher.create(request_for("unknown")).outcome == "new"


def test_a_request_that_no_pod_needs_is_swept(w: World) -> None:
    FilePayloads(w.state / "payload").put(request_for("nobody"))
    keeper = w.dispatcher._housekeeper
    keeper._forget()
    assert list((w.state / "payload").iterdir())
    keeper._forget()
    assert not list((w.state / "payload").iterdir())


# Two processes


def second(w: World, ledger: Ledger, leases: Any, **settings: Any) -> Dispatcher:
    return Dispatcher(
        w.hosts,
        ledger=ledger,
        payloads=FilePayloads(w.state / "payload"),
        leases=leases,
        make_driver=lambda host: w.drivers[host.name],
        settings=replace(QUICK, **settings),
    )


def test_a_process_without_leases_records_and_answers_and_takes_over(w: World) -> None:
    with (
        closing(Ledger(f"sqlite:///{w.state}/ledger.db")) as ledger,
        closing(FileLeases(w.state / "lease")) as leases,
        closing(second(w, ledger, leases, launch_wait=0.0)) as other,
    ):
        other.start()
        request, waiting = request_for(), request_for()
        other.create(request)  # recorded there, launched here
        w_record = wait(lambda: request.pod.uid in w.launches and w.record(request.pod.uid), "the other launches it")
        assert w_record
        wait(lambda: other.pod(request.pod.uid).status.phase is Phase.RUNNING, "its status is read from the ledger")
        assert {h.reason for h in other.hosts()} == {"driven by another server"}
        with pytest.raises(Unavailable, match="another server"):
            other.update(ref(request), {})
        other.delete(ref(request))
        wait(lambda: other.pod(request.pod.uid).gone, "the other deletes it")
        w.kill()
        other.create(waiting)
        wait(lambda: other.pod(waiting.pod.uid).status.phase is Phase.RUNNING, "it has taken over")
        assert len(w.launches[waiting.pod.uid]) == 1


def test_runs_that_share_a_ledger_work_on_their_own_pods(tmp_path: Path) -> None:
    with (
        world(tmp_path, settings=replace(QUICK, scope="pod")) as w,
        closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger,
        closing(FileLeases(tmp_path / "lease")) as leases,
        closing(second(w, ledger, leases, scope="pod")) as other,
    ):
        other.start()
        wait(lambda: all(h.reachable for h in other.hosts()), "both reach the hosts")
        mine, theirs = request_for("mine"), request_for("theirs")
        w.dispatcher.create(mine)
        other.create(theirs)
        wait(lambda: len(other.pods()) == 2, "each knows of both")
        for driver in w.drivers.values():
            driver.faults.inject(Fault.UNAVAILABLE, "delete", times=10_000)
        w.dispatcher.delete(ref(mine))
        wait(lambda: other.pod("mine").target == "deleted", "the other has read it")
        w.kill()
        for driver in w.drivers.values():
            driver.faults.clear()
        threading.Event().wait(0.3)
        w.start()
        w.until("mine", lambda r: r.gone, "its heir deletes it")
        assert w.living() == {"theirs"}
