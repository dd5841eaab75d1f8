"""What nodes have used, over mock hosts: asked seldom, summed honestly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from interlink import errors
from interlink.dispatcher import usage
from interlink.model.usage import HostUsage
from tests.unit.dispatcher.world import World, request_for, wait, world

HOSTS: Mapping[str, Mapping[str, str]] = {
    **{name: {"interlink_node": "n1"} for name in ("h1", "h2")},
    "h3": {"interlink_node": "n2"},
}


@pytest.fixture
def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(usage, "FRESH_SECONDS", 0.0)
    with world(tmp_path, HOSTS) as made:
        for name, driver in made.drivers.items():
            measured(made, name, monkeypatch, cpu=10.0 if name == "h1" else 5.0)
            assert driver.calls
        yield made


def measured(w: World, name: str, monkeypatch: pytest.MonkeyPatch, *, cpu: float | None) -> None:
    """Give a mock host figures of its own, beside those of its pods."""
    driver = w.drivers[name]
    inner: Callable[[], HostUsage] = type(driver).stats.__get__(driver)
    monkeypatch.setattr(driver, "stats", lambda: replace(inner(), cpu_seconds=cpu, memory_bytes=1 << 30))


def test_a_node_is_the_sum_of_its_hosts_and_has_the_pods_of_both(w: World) -> None:
    used = {"mock.interlink.eu/cpu": "0.5", "mock.interlink.eu/memory": "4096"}
    uids = []
    for _ in range(4):
        request = request_for(node="n1")
        request.pod.annotations.update(used)
        w.dispatcher.create(request)
        uids.append(request.pod.uid)
        w.until(request.pod.uid, lambda r: r.status.containers[0].container_id, "it runs")
    found = wait(lambda: s if len((s := w.dispatcher.stats("n1")).pods) == 4 else None, "all pods are seen")
    assert (found.name, found.cpu_seconds, found.memory_bytes) == ("n1", 15.0, 2 << 30)
    assert {pod.uid for pod in found.pods} == set(uids)
    pod = found.pods[0]
    assert (pod.namespace, pod.name, pod.memory_bytes) == ("ns", f"p-{pod.uid}", 4096)
    assert pod.cpu_seconds is not None
    later = wait(lambda: s if (s := cpu(w, pod.uid)) > (pod.cpu_seconds or 0.0) else None, "the counter rises")
    assert later > 0
    assert w.dispatcher.stats("n2").pods == ()


def cpu(w: World, uid: str) -> float:
    return next(pod.cpu_seconds or 0.0 for pod in w.dispatcher.stats("n1").pods if pod.uid == uid)


def test_a_host_without_figures_leaves_the_node_without(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the node's counter would fall when a host is away, and rise at once when it is back."""

    def away() -> HostUsage:
        raise errors.HostUnreachable("away")

    monkeypatch.setattr(w.drivers["h2"], "stats", away)
    found = w.dispatcher.stats("n1")
    assert (found.cpu_seconds, found.memory_bytes) == (None, None)
    assert found.taken_at is not None  # h1 has answered: its pods have figures
    measured(w, "h2", monkeypatch, cpu=None)
    assert w.dispatcher.stats("n1").cpu_seconds is None
    assert w.dispatcher.stats("n1").memory_bytes == 2 << 30


def test_hosts_are_asked_seldom(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "FRESH_SECONDS", 3600.0)
    asked: list[str] = []
    inner = w.drivers["h3"].stats
    monkeypatch.setattr(w.drivers["h3"], "stats", lambda: (asked.append("h3"), inner())[1])
    first = w.dispatcher.stats("n2")
    for _ in range(10):
        assert w.dispatcher.stats("n2") == first
    assert asked == ["h3"]


def test_there_is_no_such_node(w: World) -> None:
    with pytest.raises(errors.NotFound):
        w.dispatcher.stats("n3")
