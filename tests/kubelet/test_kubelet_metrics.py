"""What metrics-server scrapes, and how: a service account's token, two looks, rates between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from tests.kubelet.apistand import Api, serving_pods, shell, until
from tests.kubelet.podstand import Stand

pytestmark = pytest.mark.lab
CPU, MEMORY = "cpu_usage_seconds_total", "memory_working_set_bytes"
Key = tuple[str, str]  # a metric's name without what it is about, and a container, "" for the node


@pytest.fixture
def api(on_docker: Stand, tmp_path: Path) -> Iterator[Api]:
    with serving_pods(on_docker, "127.0.0.1", tmp_path / "certs") as made:
        yield made


@dataclass(frozen=True)
class Figure:
    value: float
    at: float


def scrape(api: Api, token: str, stand: Stand) -> dict[Key, Figure]:
    """Return what metrics-server takes from an answer: of the node, and of the containers of one pod."""
    status, text = api.ask("/metrics/resource", token=token)
    assert status == 200, text
    found: dict[Key, Figure] = {}
    for sample in (sample for family in parsed(text) for sample in family.samples):
        about, _, what = sample.name.partition("_")
        mine = about == "container" and (sample.labels["namespace"], sample.labels["pod"]) == (stand.namespace, "p")
        if about == "node" or mine:
            assert sample.timestamp, f"{sample.name} without a time is no figure for metrics-server"
            found[what, sample.labels.get("container", "")] = Figure(sample.value, float(sample.timestamp))
    return found


def test_a_scrape_gives_cpu_and_memory_of_node_and_containers(
    on_docker: Stand, api: Api, account: Callable[..., str]
) -> None:
    token = account("scraper", {"resources": ["nodes/metrics"], "verbs": ["get"]})
    assert api.ask("/metrics/resource", token=account("nobody"))[0] == 403
    busy = {"name": "busy", "command": shell("while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done")}
    on_docker.create("p", containers=[busy, {"name": "idle", "command": ["sleep", "3600"]}])
    on_docker.phase("p", "Running")
    wanted = {(what, name) for what in (CPU, MEMORY) for name in ("busy", "idle", "")}

    def after(times: dict[Key, float]) -> dict[Key, Figure] | None:
        """Scrape; None while a figure is missing or not newer than that."""
        now = scrape(api, token, on_docker)
        return now if all(key in now and now[key].at > since for key, since in times.items()) else None

    first = until(lambda: after(dict.fromkeys(wanted, 0.0)), "all figures")
    later = until(lambda: after({key: first[key].at for key in wanted}), "later figures")

    def rate(name: str) -> float:
        a, b = first[CPU, name], later[CPU, name]
        return (b.value - a.value) / (b.at - a.at)

    assert rate("busy") > 10 * rate("idle")
    assert rate("") > 0, "of the node"
    for name in ("busy", "idle"):
        assert 4096 < later[MEMORY, name].value < later[MEMORY, ""].value
        started = later["start_time_seconds", name].value
        assert started == first["start_time_seconds", name].value < first[CPU, name].at
