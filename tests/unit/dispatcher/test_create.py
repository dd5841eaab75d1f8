"""The dispatcher over mock hosts. A pod is accepted once, launched once, or refused."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from interlink.drivers.mock import Fault
from interlink.errors import Conflict, InvalidPod, Unsupported
from interlink.model.status import Kind, Phase, Terminated, Waiting
from tests.unit.dispatcher.world import World, ref, request_for, wait


def test_a_pod_is_accepted_launched_and_observed(w: World) -> None:
    request = request_for(run=0.05, code=3)
    created = w.dispatcher.create(request)
    uid = request.pod.uid
    assert (created.uid, created.jid, created.outcome) == (uid, f"mock-{uid}", "new")
    record = w.until(uid, lambda r: r.status.terminal, "it ends")
    assert (record.namespace, record.name, record.target, record.gone) == ("ns", f"p-{uid}", "run", False)
    assert record.status.phase is Phase.FAILED
    assert w.ended(uid).exit_code == 3
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


def test_a_pod_can_be_accepted_without_a_word_about_its_launch(w: World) -> None:
    for driver in w.drivers.values():
        driver.faults.inject(Fault.LOST_BEFORE, times=1000)
    request = request_for()
    uid = request.pod.uid
    began = time.monotonic()
    accepted = w.dispatcher.accept(request)
    assert (accepted.jid, accepted.outcome, w.dispatcher.accept(request).outcome) == (uid, "new", "existing")
    assert time.monotonic() - began < w.dispatcher._settings.launch_wait / 2
    for driver in w.drivers.values():
        driver.faults.clear()
    assert w.dispatcher.accept(request, 60).jid == f"mock-{uid}"


def test_the_native_id_is_told_before_the_pod_is_observed(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w.dispatcher._observations, "observed", lambda *_, **__: None)
    request = request_for()
    w.dispatcher.create(request)
    status = w.dispatcher.pod(request.pod.uid).status
    assert (status.jid, status.phase) == (f"mock-{request.pod.uid}", Phase.PENDING)


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
