"""Figures as Summary and as Prometheus text, held against Prometheus' own parser."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from prometheus_client.parser import text_string_to_metric_families

from interlink.kubelet import exposition, stats
from interlink.kubelet.exposition import Family, Sample
from interlink.model.usage import ContainerUsage, NodeUsage, PodUsage
from interlink.model.wire import usage as wire

AT = datetime(2026, 6, 1, 12, 0, 0, 250000, tzinfo=timezone.utc)
STARTED = datetime(2026, 6, 1, 11, tzinfo=timezone.utc)
FULL = ContainerUsage("c", 12.345678901, 1 << 20, STARTED)
UNKNOWN = ContainerUsage("d")
USAGE = NodeUsage(
    "n1",
    AT,
    1000.5,
    4 << 30,
    (
        PodUsage("u1", "ns", "web", AT, (FULL, ContainerUsage("e", 0.5, 1024))),
        PodUsage("u2", "ns", "half", AT, (FULL, UNKNOWN)),
        PodUsage("u3", "ns", "idle", AT, (ContainerUsage("c", 0.0, 0),)),
    ),
)


def samples(usage: NodeUsage) -> dict[tuple[str, ...], tuple[float, float | None]]:
    text = exposition.text(stats.resources(usage))
    return {
        (sample.name, *sample.labels.values()): (sample.value, sample.timestamp)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_known_figure_is_there_with_its_time() -> None:
    found = samples(USAGE)
    at = AT.timestamp()
    assert found["container_cpu_usage_seconds_total", "ns", "web", "c"] == (12.345678901, at)
    assert found["container_memory_working_set_bytes", "ns", "web", "e"] == (1024, at)
    assert found["container_start_time_seconds", "ns", "web", "c"] == (STARTED.timestamp(), at)
    assert found["pod_cpu_usage_seconds_total", "ns", "web"] == (12.345678901 + 0.5, at)
    assert found["pod_memory_working_set_bytes", "ns", "web"] == ((1 << 20) + 1024, at)
    assert found["node_cpu_usage_seconds_total",] == (1000.5, at)
    assert found["node_memory_working_set_bytes",] == (4 << 30, at)


def test_what_is_unknown_is_left_out_and_a_measured_nothing_is_not() -> None:
    found = samples(USAGE)
    assert not any("d" in key for key in found)
    assert ("pod_cpu_usage_seconds_total", "ns", "half") not in found  # one of its containers is not known
    assert found["container_cpu_usage_seconds_total", "ns", "idle", "c"] == (0, AT.timestamp())
    assert samples(NodeUsage("n1")) == {}


def test_labels_come_in_the_order_that_readers_of_kubelets_expect() -> None:
    text = exposition.text(stats.resources(USAGE))
    assert (
        'container_cpu_usage_seconds_total{namespace="ns",pod="web",container="c"} 12.345678901 1780315200250' in text
    )


def test_the_summary_has_every_pod_and_container() -> None:
    made = stats.summary(USAGE)
    assert made["node"] == {
        "nodeName": "n1",
        "cpu": {"time": "2026-06-01T12:00:00Z", "usageCoreNanoSeconds": 1_000_500_000_000},
        "memory": {"time": "2026-06-01T12:00:00Z", "workingSetBytes": 4 << 30},
    }
    web, half, _ = made["pods"]
    assert web["podRef"] == {"name": "web", "namespace": "ns", "uid": "u1"}
    assert web["startTime"] == "2026-06-01T11:00:00Z"
    assert [item["name"] for item in web["containers"]] == ["c", "e"]
    assert web["containers"][0]["cpu"]["usageCoreNanoSeconds"] == 12_345_678_901
    assert "cpu" not in half
    assert half["containers"][1] == {"name": "d"}
    assert stats.summary(NodeUsage("n1")) == {"node": {"nodeName": "n1"}, "pods": []}


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "é", ""])
def test_label_values_survive(value: str) -> None:
    text = exposition.text([Family("f", "gauge", "help", (Sample(1.5, {"l": value}),))])
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"l": value}


def test_usage_comes_back_from_the_wire() -> None:
    assert wire.node_usage(wire.node_usage_json(USAGE)) == USAGE
    assert wire.node_usage(wire.node_usage_json(NodeUsage("n"))) == NodeUsage("n")
