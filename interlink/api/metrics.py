"""What /metrics shows: requests, streams, pods by phase, hosts that answer."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable

from falcon import HTTP_METHODS
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from interlink.errors import InterlinkError
from interlink.model.driver import Composition
from interlink.model.status import Phase

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one application; nothing is global, so that many can live in one process."""

    def __init__(self, composition: Composition | None) -> None:
        self._registry = CollectorRegistry()
        names = ("method", "route")
        self._requests = Counter(
            "interlink_http_requests", "Requests answered", (*names, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "interlink_http_request_seconds", "Seconds until the answer began", names, registry=self._registry
        )
        self.streams = Gauge("interlink_http_streams", "Open log and watch streams", registry=self._registry)
        if composition is not None:
            self._registry.register(_Observed(composition))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        method = method if method in HTTP_METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Observed(Collector):
    """Asks the composition at each scrape."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition

    def describe(self) -> Iterable[Metric]:
        return []  # else registering would ask the composition already

    def collect(self) -> Iterable[Metric]:
        sources: tuple[Callable[[], Metric], ...] = (self._pods, self._hosts)
        for source in sources:
            try:
                yield source()
            except InterlinkError:
                continue  # what cannot be known now is absent, as Prometheus expects

    def _pods(self) -> Metric:
        family = GaugeMetricFamily("interlink_pods", "Pods by phase", labels=["phase"])
        tally = Tally(pod.status.phase for pod in self._composition.pods())
        for phase in Phase:
            family.add_metric([phase.value], tally[phase])
        return family

    def _hosts(self) -> Metric:
        family = GaugeMetricFamily("interlink_host_reachable", "1 if the host answers", labels=["host"])
        for host in self._composition.hosts():
            family.add_metric([host.name], float(host.reachable))
        return family
