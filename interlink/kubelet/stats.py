"""What the node and its pods have used, as a kubelet writes it: Summary v1alpha1 and /metrics/resource; pure.

Only real figures: what is not known is left out, for a reader takes 0 for a measurement and metrics-server drops
a pod with one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from interlink.kubelet.exposition import Family, Sample
from interlink.model.usage import ContainerUsage, NodeUsage, PodUsage
from interlink.model.wire import gojson


def summary(usage: NodeUsage) -> dict[str, Any]:
    """Write the Summary of stats.k8s.io/v1alpha1."""
    node = {"nodeName": usage.name, **_figures(usage.cpu_seconds, usage.memory_bytes, usage.taken_at)}
    return {"node": node, "pods": [_pod(pod) for pod in usage.pods]}


def resources(usage: NodeUsage) -> tuple[Family, ...]:
    """Return the families of /metrics/resource, for metrics-server; names and texts are the kubelet's."""
    containers = [(pod, container) for pod in usage.pods for container in pod.containers]
    return (
        Family(
            "container_cpu_usage_seconds_total",
            "counter",
            "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
            _samples((_labels(p, c), c.cpu_seconds, p.taken_at) for p, c in containers),
        ),
        Family(
            "container_memory_working_set_bytes",
            "gauge",
            "[STABLE] Current working set of the container in bytes",
            _samples((_labels(p, c), c.memory_bytes, p.taken_at) for p, c in containers),
        ),
        Family(
            "container_start_time_seconds",
            "gauge",
            "[STABLE] Start time of the container since unix epoch in seconds",
            _samples((_labels(p, c), _epoch(c.started_at), p.taken_at) for p, c in containers),
        ),
        Family(
            "node_cpu_usage_seconds_total",
            "counter",
            "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
            _samples([({}, usage.cpu_seconds, usage.taken_at)]),
        ),
        Family(
            "node_memory_working_set_bytes",
            "gauge",
            "[STABLE] Current working set of the node in bytes",
            _samples([({}, usage.memory_bytes, usage.taken_at)]),
        ),
        Family(
            "pod_cpu_usage_seconds_total",
            "counter",
            "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
            _samples((_labels(pod), pod.cpu_seconds, pod.taken_at) for pod in usage.pods),
        ),
        Family(
            "pod_memory_working_set_bytes",
            "gauge",
            "[STABLE] Current working set of the pod in bytes",
            _samples((_labels(pod), pod.memory_bytes, pod.taken_at) for pod in usage.pods),
        ),
    )


def scrape_error(failed: bool) -> Family:  # noqa: FBT001 - a figure
    """Return the family that says whether figures could be had at all."""
    said = "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise"
    return Family("resource_scrape_error", "gauge", said, (Sample(int(failed)),))


def _pod(pod: PodUsage) -> dict[str, Any]:
    started = min((item.started_at for item in pod.containers if item.started_at), default=None)
    return {
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        **({"startTime": gojson.format_time(started)} if started else {}),
        **_figures(pod.cpu_seconds, pod.memory_bytes, pod.taken_at),
        "containers": [_container(item, pod.taken_at) for item in pod.containers],
    }


def _container(container: ContainerUsage, taken_at: datetime) -> dict[str, Any]:
    started = container.started_at
    return {
        "name": container.name,
        **({"startTime": gojson.format_time(started)} if started else {}),
        **_figures(container.cpu_seconds, container.memory_bytes, taken_at),
    }


def _figures(cpu_seconds: float | None, memory_bytes: int | None, taken_at: datetime | None) -> dict[str, Any]:
    time = gojson.format_time(taken_at)
    result: dict[str, Any] = {}
    if cpu_seconds is not None:
        result["cpu"] = {"time": time, "usageCoreNanoSeconds": round(cpu_seconds * 1e9)}
    if memory_bytes is not None:
        result["memory"] = {"time": time, "workingSetBytes": memory_bytes}
    return result


def _samples(figures: Iterable[tuple[dict[str, str], float | None, datetime | None]]) -> tuple[Sample, ...]:
    def known() -> Iterator[Sample]:
        for labels, value, at in figures:
            if value is not None:
                yield Sample(value, labels, at)

    return tuple(known())


def _labels(pod: PodUsage, container: ContainerUsage | None = None) -> dict[str, str]:
    labels = {"namespace": pod.namespace, "pod": pod.name}
    return labels if container is None else {**labels, "container": container.name}


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
