"""What the kubelet says of itself on /metrics: its pods, its certificate, its process."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from interlink.kubelet.exposition import Family, Sample
from interlink.model.driver import PodRecord
from interlink.model.status import Running, Terminated

_STAT = Path("/proc/self/stat")


def families(
    jobs: Iterable[PodRecord], streams: int, certificate_seconds: float | None, requests: Mapping[str, int]
) -> Iterator[Family]:
    """Return all families; names are the real kubelet's where it has such a figure.

    `requests` is how many of a kind were sent to the API server, such as "PATCH pods/status".
    """
    states: Counter[str] = Counter()
    running = 0
    for job in jobs:
        found = [_state(container.state) for container in job.status.containers]
        states.update(found)
        running += "running" in found
    yield Family("kubelet_running_pods", "gauge", "Number of pods that have a running container", (Sample(running),))
    yield Family(
        "kubelet_running_containers",
        "gauge",
        "Number of containers by state",
        tuple(Sample(states[state], {"container_state": state}) for state in ("created", "exited", "running")),
    )
    yield Family("interlink_kubelet_log_streams", "gauge", "Logs that are being read", (Sample(streams),))
    yield Family(
        "interlink_kubelet_api_requests_total",
        "counter",
        "Requests sent to the API server of Kubernetes, by all nodes of the process",
        tuple(Sample(count, _split(what)) for what, count in sorted(requests.items())),
    )
    if certificate_seconds is not None:
        said = "Time in seconds until the serving certificate expires; negative if it has"
        yield Family("kubelet_certificate_manager_server_ttl_seconds", "gauge", said, (Sample(certificate_seconds),))
    yield from _process()


def _process() -> Iterator[Family]:
    """The figures that every Prometheus client gives of its process (proc_pid_stat(5), fields 22 and 24)."""
    fields = _STAT.read_text().rpartition(")")[2].split()
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    cpu = sum(os.times()[:2])
    memory, started = int(fields[21]) * page, int(fields[19]) / ticks + _boot_time()
    said = "Total user and system CPU time spent in seconds."
    yield Family("process_cpu_seconds_total", "counter", said, (Sample(cpu),))
    yield Family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", (Sample(memory),))
    said = "Start time of the process since unix epoch in seconds."
    yield Family("process_start_time_seconds", "gauge", said, (Sample(started),))
    files = len(os.listdir("/proc/self/fd"))
    yield Family("process_open_fds", "gauge", "Number of open file descriptors.", (Sample(files),))


def _boot_time() -> float:
    lines = Path("/proc/stat").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("btime "))


def _state(state: object) -> str:
    if isinstance(state, Running):
        return "running"
    return "exited" if isinstance(state, Terminated) else "created"


def _split(what: str) -> dict[str, str]:
    method, _, resource = what.partition(" ")
    return {"method": method, "resource": resource}
