"""The dispatcher over mock hosts. Pods go where they fit, wait where they do not, and never move once sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from interlink.drivers.mock import Fault
from interlink.model.status import Phase
from tests.unit.dispatcher.world import QUICK, World, ref, request_for, world


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
