"""What the kubelet's API answers, to callers that may ask."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from interlink.client.within import within
from interlink.errors import DeadlineExceeded, InterlinkError, InvalidPod, OutcomeUnknown, Unavailable
from interlink.kubelet import exposition, logquery, selfmetrics, stats
from interlink.kubelet.serving import Certificate
from interlink.model.driver import LogQuery, PodRecord
from interlink.model.pod import Pod, PodRef
from interlink.model.status import Running
from interlink.model.usage import NodeUsage
from interlink.model.wire import gojson

STREAMS = ("exec", "attach", "portForward", "run")
USAGE_SECONDS = 10.0  # for the backend to say what is used
_log = logging.getLogger(__name__)


class Source(Protocol):
    """What is needed of a backend."""

    def job(self, uid: str) -> PodRecord | None: ...

    def jobs(self) -> Collection[PodRecord]: ...

    def logs(self, query: LogQuery) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]: ...

    async def stats(self, node: str) -> NodeUsage | None: ...


@dataclass(frozen=True)
class About:
    """What a kubelet tells of itself: the settings that /configz shows, and its requests to the API server by kind.

    Nothing secret belongs here.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)


class Endpoints:
    """The handlers of one node."""

    def __init__(
        self,
        node: str,
        pods: Iterable[Mapping[str, Any]],
        backend: Source,
        *,
        certificate: Certificate,
        about: About,
    ) -> None:
        self._node, self._pods, self._backend = node, pods, backend
        self._certificate, self._about = certificate, about
        self._streams: set[asyncio.Task[Any]] = set()

    def install(self, app: web.Application) -> None:
        """Add all routes."""
        answers = {
            "/pods": self.pods,
            "/runningpods": self.running_pods,
            "/stats/summary": self.summary,
            "/metrics": self.metrics,
            "/metrics/resource": self.resource_metrics,
            "/healthz": self.health,
            "/configz": self.configz,
        }
        for path, answer in answers.items():
            app.router.add_get(path, answer)
            app.router.add_get(f"{path}/", answer)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self.logs)
        for stream in STREAMS:
            app.router.add_route("*", f"/{stream}/{{rest:.*}}", _not_yet)

    @property
    def node(self) -> str:
        return self._node

    def end_streams(self) -> None:
        """Break off all logs that are being followed."""
        for task in list(self._streams):
            task.cancel()

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """Send a container's log as it comes. 400 and 500 are the codes whose text a user of kubectl sees."""
        namespace, name, container = (request.match_info[key] for key in ("namespace", "pod", "container"))
        pod = self._find(namespace, name)
        if pod is None:
            return plain(404, f'pod "{name}" does not exist')
        if container not in {item.name for item in pod.containers}:
            return plain(404, f'container "{container}" not found in pod "{name}"')
        try:
            query = logquery.parse(PodRef.of(pod), container, request.query)
        except InvalidPod as error:
            return plain(400, str(error))
        job = self._backend.job(pod.uid)
        if job or _is_pending(pod):  # else it ran before our time, and its host may have kept its logs
            why = logquery.refusal(name, container, job.status if job else None, previous=query.previous)
            if why:
                return plain(400, why)
        return await self._log(request, query)

    async def _log(self, request: web.Request, query: LogQuery) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        try:
            async with self._backend.logs(query) as chunks:
                await response.prepare(request)
                async for chunk in chunks:
                    await response.write(chunk)
        except InterlinkError as error:
            if not response.prepared:
                return plain(_status(error), str(error))
            # The status is sent: only a broken connection tells that this is not the log's end.
            _log.warning("the log of %s/%s breaks off: %s", query.pod.namespace, query.pod.name, error)
            _abort(request)
        finally:
            self._streams.discard(task)
        return response

    async def pods(self, request: web.Request) -> web.Response:
        """The API pods of this node."""
        return _json(_list([{"apiVersion": "v1", "kind": "Pod", **pod} for pod in self._pods]))

    async def running_pods(self, request: web.Request) -> web.Response:
        """What the backend runs, as the runtime would tell it: names and images."""
        return _json(_list([_running(job) for job in self._jobs() if _runs(job)]))

    async def summary(self, request: web.Request) -> web.Response:
        try:
            usage = await self._usage()
        except InterlinkError as error:
            return plain(500, f"no figures: {error}")
        return _json(stats.summary(usage or NodeUsage(self._node)))

    async def resource_metrics(self, request: web.Request) -> web.Response:
        try:
            usage, failed = await self._usage(), False
        except InterlinkError as error:
            _log.warning("no figures of node %s: %s", self._node, error)
            usage, failed = None, True
        families = (*stats.resources(usage or NodeUsage(self._node)), stats.scrape_error(failed))
        return _metrics(families)

    async def metrics(self, request: web.Request) -> web.Response:
        ends = self._certificate.chain.ends
        life = ends.timestamp() - time.time() if ends else None
        return _metrics(selfmetrics.families(self._jobs(), len(self._streams), life, self._about.requests))

    async def health(self, request: web.Request) -> web.Response:
        return plain(200, "ok")

    async def configz(self, request: web.Request) -> web.Response:
        about = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
        return _json({"kubeletconfig": {**about, **self._about.config}})

    async def _usage(self) -> NodeUsage | None:
        async def ask() -> NodeUsage | None:
            return await self._backend.stats(self._node)

        try:
            return await within(USAGE_SECONDS, ask())
        except asyncio.TimeoutError:
            raise DeadlineExceeded("the backend did not answer in time") from None

    def _find(self, namespace: str, name: str) -> Pod | None:
        for raw in self._pods:
            metadata = raw["metadata"]
            if metadata["name"] == name and metadata["namespace"] == namespace:
                return Pod(dict(raw))
        return None

    def _jobs(self) -> list[PodRecord]:
        """The backend's jobs of this node; other servers do not know nodes, but our own pods are."""
        ours = {raw["metadata"]["uid"] for raw in self._pods}
        return [job for job in self._backend.jobs() if job.node == self._node or job.uid in ours]


async def _not_yet(request: web.Request) -> web.Response:
    what = request.path.lstrip("/").partition("/")[0]
    return plain(501, f"{what} is not supported by this virtual node: its pods can be reached by logs only")


def plain(status: int, text: str) -> web.Response:
    """Return an answer in plain text, as the kubelet's errors are."""
    return web.Response(status=status, text=text)


def _is_pending(pod: Pod) -> bool:
    return str((pod.raw.get("status") or {}).get("phase") or "Pending") == "Pending"


def _status(error: InterlinkError) -> int:
    """Return 500 for what may work later, 400 for what will not: the two whose text reaches the user."""
    return 500 if isinstance(error, (Unavailable, OutcomeUnknown)) else 400


def _abort(request: web.Request) -> None:
    if request.transport:
        request.transport.abort()


def _json(value: Any) -> web.Response:
    return web.Response(body=gojson.encode(value), content_type="application/json")


def _metrics(families: Iterable[exposition.Family]) -> web.Response:
    return web.Response(text=exposition.text(families), headers={"Content-Type": exposition.CONTENT_TYPE})


def _list(pods: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}


def _runs(job: PodRecord) -> bool:
    return any(isinstance(container.state, Running) for container in job.status.containers)


def _running(job: PodRecord) -> dict[str, Any]:
    """Write a pod as the kubelet writes those of its runtime: the running containers, no status."""
    running = [container for container in job.status.containers if isinstance(container.state, Running)]
    return {
        "metadata": {"name": job.name, "namespace": job.namespace, "uid": job.uid},
        "spec": {"containers": [{"name": item.name, "image": item.image, "resources": {}} for item in running]},
        "status": {},
    }
