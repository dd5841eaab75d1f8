"""The dispatcher over mock hosts: accepting, placing, launching, observing, deleting, resuming."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interlink.dispatcher import Dispatcher, capacity
from interlink.drivers.mock import Fault
from interlink.errors import Conflict, HostUnreachable, InvalidPod, NotFound, Unavailable, Unsupported
from interlink.ledger import FileLeases, FilePayloads, Ledger
from interlink.model.driver import Change, HostFacts, LogQuery, PodEvent
from interlink.model.host import Host
from interlink.model.pod import PodRef
from interlink.model.status import Kind, Phase, Running, Terminated, Waiting
from tests.unit.dispatcher.world import QUICK, World, ref, request_for, wait, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def ended(w: World, uid: str) -> Terminated:
    state = w.status(uid).containers[0].state
    assert isinstance(state, Terminated), state
    return state


# Create


def test_a_pod_is_accepted_launched_and_observed(w: World) -> None:
    request = request_for(run=0.05, code=3)
    created = w.dispatcher.create(request)
    uid = request.pod.uid
    assert (created.uid, created.jid, created.outcome) == (uid, f"mock-{uid}", "new")
    record = w.until(uid, lambda r: r.status.terminal, "it ends")
    assert (record.namespace, record.name, record.target, record.gone) == ("ns", f"p-{uid}", "run", False)
    assert record.status.phase is Phase.FAILED
    assert ended(w, uid).exit_code == 3
    assert w.launches[uid] == [record.host]
    assert [s.uid for s in w.dispatcher.status([ref(request)])] == [uid]


def test_the_request_is_kept_until_the_launch_and_not_longer(w: World) -> None:
    for driver in w.drivers.values():
        driver.faults.inject(Fault.LOST_BEFORE, times=1000)
    w.dispatcher._settings = replace(w.dispatcher._settings, launch_wait=0.05)
    request = request_for()
    created = w.dispatcher.create(request)
    assert created.jid == request.pod.uid
    assert len(list((w.state / "payload").iterdir())) == 1
    for driver in w.drivers.values():
        driver.faults.clear()
    w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
    wait(lambda: not list((w.state / "payload").iterdir()), "the request is dropped")


def test_a_repeated_create_is_the_same_pod(w: World) -> None:
    request = request_for()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: w.dispatcher.create(request), range(8)))
    assert [a.outcome for a in answers].count("new") == 1
    assert {a.jid for a in answers} == {f"mock-{request.pod.uid}"}
    assert len(w.launches[request.pod.uid]) == 1


def test_a_uid_stands_for_one_pod(w: World) -> None:
    request = request_for()
    w.dispatcher.create(request)
    other = request_for(request.pod.uid)
    other.pod.raw["metadata"]["name"] = "other"  # type: ignore[index]
    with pytest.raises(Conflict):
        w.dispatcher.create(other)


@pytest.mark.parametrize(("part", "field"), [("uid", "metadata.uid"), ("name", "metadata.name")])
def test_a_pod_without_identity_is_refused(w: World, part: str, field: str) -> None:
    request = request_for()
    del request.pod.raw["metadata"][part]  # type: ignore[attr-defined]
    with pytest.raises(InvalidPod) as caught:
        w.dispatcher.create(request)
    assert caught.value.field == field


def test_what_every_driver_refuses_is_not_accepted(w: World) -> None:
    def refuse(_request: Any) -> None:
        raise Unsupported("is not supported", field="spec.x")

    w.drivers["h1"].check = refuse  # type: ignore[method-assign]
    w.dispatcher.create(request_for("first"))
    assert w.launches["first"] == ["h2"]
    w.drivers["h2"].check = refuse  # type: ignore[method-assign]
    with pytest.raises(Unsupported):
        w.dispatcher.create(request_for("second"))
    assert [p.uid for p in w.dispatcher.pods()] == ["first"]
    assert not list((w.state / "payload").iterdir())


def test_a_launch_that_is_refused_fails_the_pod_for_good(w: World) -> None:
    for driver in w.drivers.values():
        driver.faults.inject(Fault.REFUSED)
    inits = [{"name": "first", "image": "j"}]
    request = request_for(initContainers=inits, restartPolicy="Always")
    w.dispatcher.create(request)
    status = w.until(request.pod.uid, lambda r: r.status.terminal, "it fails").status
    assert (status.phase, status.reason) == (Phase.FAILED, "MockRefused")
    assert "refused as injected" in status.message
    assert [(c.name, c.kind, c.image) for c in status.containers] == [
        ("first", Kind.INIT, "j"),
        ("main", Kind.MAIN, "i"),
    ]
    assert all(isinstance(c.state, Terminated) and c.state.reason == "MockRefused" for c in status.containers)
    wait(lambda: not list((w.state / "payload").iterdir()), "the request is dropped")
    assert w.living() == set()


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.LOST_BEFORE, Fault.UNAVAILABLE])
def test_an_unknown_outcome_ends_as_one_pod(w: World, fault: Fault) -> None:
    for driver in w.drivers.values():
        driver.faults.inject(fault, times=3)
    request = request_for()
    w.dispatcher.create(request)
    w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
    assert len(w.launches[request.pod.uid]) == 1


def test_why_a_pod_waits_is_shown(w: World) -> None:
    for driver in w.drivers.values():
        driver.faults.inject(Fault.UNAVAILABLE, times=1000)
    w.dispatcher._settings = replace(w.dispatcher._settings, launch_wait=0.05)
    request = request_for()
    w.dispatcher.create(request)
    said = w.until(request.pod.uid, lambda r: "away as injected" in r.status.message, "the reason is shown")
    assert said.status.phase is Phase.PENDING
    assert isinstance(said.status.containers[0].state, Waiting)


# Placement


def test_pods_are_spread_and_counted(tmp_path: Path) -> None:
    hosts = {name: {"interlink_capacity": {"cpu": "2"}} for name in ("h1", "h2")}
    with world(tmp_path, hosts) as w:
        requests = [request_for(requests={"cpu": "1"}) for _ in range(5)]
        w.dispatcher._settings = replace(w.dispatcher._settings, launch_wait=0.5)
        for request in requests:
            w.dispatcher.create(request)
        placed = [w.record(r.pod.uid).host for r in requests]
        assert placed == ["h1", "h2", "h1", "h2", ""]
        last = w.record(requests[4].pod.uid).status
        assert (last.phase, last.reason) == (Phase.PENDING, "Unschedulable")
        assert last.message == "0/2 hosts fit: 2 Insufficient cpu"
        w.dispatcher.delete(ref(requests[1]), 0)
        w.until(requests[4].pod.uid, lambda r: r.host == "h2" and r.status.phase is Phase.RUNNING, "it has room")


def test_parallel_creates_do_not_overbook(tmp_path: Path) -> None:
    with world(tmp_path, {"h1": {"interlink_capacity": {"cpu": "3"}}}, replace(QUICK, launch_wait=0.2)) as w:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(w.dispatcher.create, [request_for(requests={"cpu": "1"}) for _ in range(8)]))
        assert sum(bool(p.host) for p in w.dispatcher.pods()) == 3


def test_a_node_is_its_group(tmp_path: Path) -> None:
    hosts = {"h1": {"interlink_node": "vk1"}, "h2": {"interlink_node": "vk2"}}
    with world(tmp_path, hosts) as w:
        one, two = request_for(node="vk2"), request_for()
        w.dispatcher.create(one)
        w.dispatcher.create(two)
        assert (w.record(one.pod.uid).host, w.record(one.pod.uid).node) == ("h2", "vk2")
        assert (w.record(two.pod.uid).host, w.record(two.pod.uid).node) == ("h1", "vk1")
        assert [p.uid for p in w.dispatcher.pods("vk2")] == [one.pod.uid]


def test_a_pod_that_was_never_sent_moves_to_another_host(w: World) -> None:
    w.drivers["h1"].faults.inject(Fault.UNAVAILABLE, times=1000)
    w.drivers["h2"].faults.inject(Fault.UNAVAILABLE, times=1)
    request = request_for(requests={"cpu": "1"})
    with w.dispatcher._chooser._lock:  # h2 looks full while the pod is placed
        w.dispatcher._book.charge("other", "h2", {"cpu": 63_500})
    w.dispatcher._settings = replace(w.dispatcher._settings, launch_wait=0.0)
    w.dispatcher.create(request)
    assert w.record(request.pod.uid).host == "h1"
    w.dispatcher._book.discharge("other")
    w.dispatcher._book.charge("other", "h1", {"cpu": 63_500})
    w.until(request.pod.uid, lambda r: r.host == "h2" and r.status.phase is Phase.RUNNING, "it moves")


def test_a_pod_that_may_have_been_sent_never_moves(w: World) -> None:
    w.dispatcher._settings = replace(w.dispatcher._settings, launch_wait=0.0)
    w.dispatcher._book.charge("other", "h2", {"cpu": 63_500})
    w.drivers["h1"].faults.inject(Fault.LOST_AFTER, times=1)
    w.drivers["h1"].faults.inject(Fault.UNAVAILABLE, times=10)
    request = request_for(requests={"cpu": "1"})
    w.dispatcher.create(request)
    w.dispatcher._book.discharge("other")
    w.dispatcher._book.charge("other", "h1", {"cpu": 63_500})
    w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
    assert w.launches[request.pod.uid] == ["h1"]


# Delete


def test_a_delete_is_answered_at_once_and_carried_out(w: World) -> None:
    request = request_for()
    w.dispatcher.create(request)
    assert w.dispatcher.delete(ref(request)) is None
    record = w.until(request.pod.uid, lambda r: r.gone, "it is gone")
    assert w.living() == set()
    assert record.target == "deleted"
    assert record.status.terminal
    assert ended(w, request.pod.uid).exit_code == 143
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
        assert ended(w, request.pod.uid).exit_code == 137
        assert ended(w, request.pod.uid).reason == "ContainerStatusUnknown"
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


# Observation


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
        assert (ended(w, request.pod.uid).exit_code, ended(w, request.pod.uid).reason) == (
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


# Inventory


def test_the_inventory_changes_in_place(w: World) -> None:
    stays, leaves = request_for("stays"), request_for("leaves")
    w.dispatcher.create(leaves)
    assert w.record("leaves").host == "h1"
    w.hosts["h3"] = Host("h3")
    w.hosts["h2"] = Host("h2", vars={"interlink_labels": {"new": "yes"}})
    w.made.clear()
    w.dispatcher.reload({name: host for name, host in w.hosts.items() if name != "h1"})
    wait(lambda: {h.name for h in w.dispatcher.hosts() if h.reachable} == {"h1", "h2", "h3"}, "all are reached")
    assert sorted(w.made) == ["h2", "h3"]
    for i in range(4):
        w.dispatcher.create(request_for(f"more{i}"))
    w.dispatcher.create(stays)
    assert {w.record(f"more{i}").host for i in range(4)} == {"h2", "h3"}  # none to the one that leaves
    w.dispatcher.delete(ref(leaves))
    w.until("leaves", lambda r: r.gone, "the leaving host is driven to the end")
    wait(lambda: [h.name for h in w.dispatcher.hosts()] == ["h2", "h3"], "it is let go")


def test_a_pod_whose_host_is_not_in_the_inventory_waits_for_it(w: World) -> None:
    request = request_for()
    w.dispatcher.create(request)
    host = w.record(request.pod.uid).host
    w.kill()
    hosts = w.hosts
    w.hosts = {name: h for name, h in hosts.items() if name != host}
    w.start()
    assert w.status(request.pod.uid).phase is Phase.UNKNOWN
    w.dispatcher.delete(ref(request))
    threading.Event().wait(0.2)
    assert not w.record(request.pod.uid).gone
    w.dispatcher.reload(hosts)
    w.until(request.pod.uid, lambda r: r.gone, "it is gone")


def test_a_host_without_a_driver_is_tried_again(tmp_path: Path) -> None:
    w = World(tmp_path, {"h1": {}})
    make, failures = w.make_driver, [3]

    def failing(host: Host) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise HostUnreachable("no route")
        return make(host)

    w.make_driver = failing  # type: ignore[method-assign]
    w.start()
    w.stop()
    assert not failures[0]


# Views


@pytest.mark.parametrize(
    ("stated", "raw", "offered"),
    [
        ({}, {"disk": {"total": 40 << 30, "free": 1 << 30}}, 40 << 30),
        ({"ephemeral-storage": "5Gi"}, {"disk": {"total": 40 << 30}}, 5 << 30),
        ({}, {"disk": {}}, None),
    ],
)
def test_the_roots_disk_is_the_storage_that_pods_may_ask_for(
    stated: dict[str, str], raw: dict[str, Any], offered: int | None
) -> None:
    host = Host("h", vars={"interlink_capacity": stated})
    assert capacity.capacity_of(host, HostFacts(raw=raw)).get("ephemeral-storage") == offered


def test_nodes_are_made_of_their_hosts(tmp_path: Path) -> None:
    labels = {"h1": {"site": "x", "rank": "1"}, "h2": {"site": "x", "rank": "2"}}
    hosts = {
        name: {
            "interlink_node": "vk",
            "interlink_capacity": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"},
            "interlink_pods": 5,
            "interlink_labels": labels[name],
            "interlink_taints": ["a=b:NoExecute"],
        }
        for name in ("h1", "h2")
    }
    with world(tmp_path, {**hosts, "h3": {}}) as w:
        (node,) = w.dispatcher.nodes()
        assert node.name == "vk"
        assert node.capacity == {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2", "pods": "10"}
        assert node.labels["site"] == "x"
        assert "rank" not in node.labels
        assert (node.labels["kubernetes.io/hostname"], node.labels["kubernetes.io/arch"]) == ("vk", "amd64")
        assert [(t.key, t.effect) for t in node.taints] == [
            ("virtual-node.interlink/no-schedule", "NoSchedule"),
            ("a", "NoExecute"),
        ]
        assert {c["type"]: c["status"] for c in node.conditions} == {"Ready": "True", "InterlinkConnectivity": "True"}
        assert w.dispatcher.ping().resources["pods"] == "100010"
        assert w.dispatcher.ready()["ok"]


def test_logs_name_what_is_missing(w: World) -> None:
    with pytest.raises(NotFound, match="no pod"):
        w.dispatcher.logs(LogQuery(PodRef("nobody")))
    request = request_for(initContainers=[{"name": "first"}])
    request.pod.raw["metadata"]["annotations"]["mock.interlink.eu/log.main"] = "hello\n"  # type: ignore[index]
    w.dispatcher.create(request)
    w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
    with closing(w.dispatcher.logs(LogQuery(ref(request)))) as log:
        assert b"".join(log) == b"hello\n"
    with pytest.raises(NotFound, match=r"no container 'other' of first, main"):
        w.dispatcher.logs(LogQuery(ref(request), "other"))


def test_a_pod_that_runs_before_its_launch_is_recorded_has_a_log(w: World) -> None:
    """The host may tell of it before it answers the launch."""
    request = request_for()
    request.pod.raw["metadata"]["annotations"]["mock.interlink.eu/log.main"] = "hello\n"  # type: ignore[index]
    for driver in w.drivers.values():
        driver.faults.inject(Fault.LOST_AFTER, times=1000)
    w.dispatcher._settings = replace(w.dispatcher._settings, launch_wait=0.0)
    w.dispatcher.create(request)
    w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
    with closing(w.dispatcher.logs(LogQuery(ref(request)))) as log:
        assert b"".join(log) == b"hello\n"


def test_volumes_of_a_pod_that_does_not_live_are_not_updated(w: World) -> None:
    request = request_for()
    w.dispatcher.create(request)
    w.dispatcher.update(ref(request), {})
    w.dispatcher.delete(ref(request))
    with pytest.raises(Conflict):
        w.dispatcher.update(ref(request), {})


# Watch


def collect(w: World, since: int | None, until: Any) -> list[Change]:
    feed, found = w.dispatcher.watch(since), []
    for change in feed:
        found.append(change)
        if until(change):
            break
    feed.close()
    return found


def test_a_watch_opens_with_the_picture_and_goes_on_without_gaps(tmp_path: Path) -> None:
    with world(tmp_path, {"h1": {"interlink_node": "vk"}}) as w:
        request = request_for()
        w.dispatcher.create(request)
        w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
        picture = collect(w, None, lambda c: c.type == "bookmark")
        assert [(c.seq, c.type) for c in picture[:-1]] == [(0, "node"), (0, "pod")]
        w.dispatcher.delete(ref(request))
        after = collect(w, picture[-1].seq, lambda c: c.type == "pod" and c.object.gone)
        assert [c.seq for c in after] == list(range(picture[-1].seq + 1, picture[-1].seq + 1 + len(after)))
        assert after[-1].object.status.terminal


def test_events_flow(w: World) -> None:
    start = w.dispatcher.watch().close() or w.dispatcher._changes.last
    request = request_for(run=0.05)
    w.dispatcher.create(request)
    last = collect(w, start, lambda c: c.type == "event")[-1].object
    assert isinstance(last, PodEvent)
    assert (last.uid, last.reason, last.container) == (request.pod.uid, "Started", "main")


def test_a_number_of_another_process_is_too_old(w: World) -> None:
    before = w.dispatcher._changes.last
    w.kill()
    w.start()
    for number in (before, w.dispatcher._changes.last + 1, 0):
        with pytest.raises(NotFound):
            w.dispatcher.watch(number)
