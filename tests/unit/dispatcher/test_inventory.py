"""The dispatcher over mock hosts. Hosts that come, change, leave or cannot be driven yet."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from interlink.errors import HostUnreachable
from interlink.model.host import Host
from interlink.model.status import Phase
from tests.unit.dispatcher.world import World, ref, request_for, wait


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
