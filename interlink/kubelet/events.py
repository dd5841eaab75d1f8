"""Kubernetes events: what happens to pods and nodes, merged by count as a kubelet does."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal

from interlink.errors import InterlinkError
from interlink.kubelet import paths
from interlink.kubelet.kube import ApiError, Kube
from interlink.kubelet.pace import Pace
from interlink.model.driver import PodEvent, PodRecord
from interlink.model.pod import Json
from interlink.model.status import Running
from interlink.model.wire import gojson

log = logging.getLogger(__name__)

BURST, REFILL_SECONDS = 25.0, 300.0  # events an object may cause at once, and how long until one more
TRIES, AGAIN_SECONDS = 12, 10.0
PER_SECOND, AT_ONCE = 50, 100  # events of a node, as of a real kubelet: statuses come first when many pods start
_KNOWN = 4096  # events that are remembered to be counted
_NAME = 230  # characters of an object's name in that of its event

Type = Literal["Normal", "Warning"]


@dataclass(frozen=True)
class Event:
    """Something worth telling about an object; `about` is an involvedObject."""

    about: Mapping[str, str]
    reason: str
    message: str
    type: Type = "Normal"
    time: datetime | None = None


def pod_event(pod: Json, reason: str, message: str, kind: Type = "Normal", container: str = "") -> Event:
    """Return an event about a pod, or about one of its containers."""
    metadata = pod["metadata"]
    where = _field(pod, container) if container else ""
    about = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        **({"fieldPath": where} if where else {}),
    }
    return Event(about, reason, message, kind)


def told(pod: Json, seen: PodEvent) -> Event | None:
    """Return what a driver has told as an event; None for what the statuses tell (`started`)."""
    if seen.reason in ("Created", "Started"):
        return None
    event = pod_event(pod, seen.reason, seen.message, seen.type, seen.container)
    return Event(event.about, event.reason, event.message, event.type, seen.time)


def started(pod: Json, status: Mapping[str, Any], pulled: Collection[str] = ()) -> Iterator[Event]:
    """Yield what a kubelet tells of every container that a new status shows and the API's does not.

    Of those in `pulled` the driver has told that their image was pulled; the others' was there, if they have one at
    all: a plain process has none.
    """
    old = pod.get("status") or {}
    for key in ("initContainerStatuses", "containerStatuses"):
        known = {identity for item in old.get(key) or [] for identity in _identities(item)}
        begun = {identity for item in old.get(key) or [] for identity in _begun(item)}
        for item in status.get(key) or []:
            name, identity = item["name"], item.get("containerID")
            if identity and identity not in known:
                if name not in pulled and item.get("imageID"):
                    present = f'Container image "{item.get("image")}" already present on machine'
                    yield pod_event(pod, "Pulled", present, container=name)
                yield pod_event(pod, "Created", f"Created container: {name}", container=name)
            if identity in set(_begun(item)) - begun:
                yield pod_event(pod, "Started", f"Started container {name}", container=name)


def turned(pod: Json, status: Mapping[str, Any]) -> Iterator[Event]:
    """Yield what a kubelet tells of a pod that comes to wait for its image, or whose time is over."""
    old = pod.get("status") or {}
    if status.get("reason") == "DeadlineExceeded" != old.get("reason"):
        yield pod_event(pod, "DeadlineExceeded", str(status.get("message")))
    for key in ("initContainerStatuses", "containerStatuses"):
        known = {item["name"]: _waits(item) for item in old.get(key) or []}
        for item in status.get(key) or []:
            if _waits(item) == "ImagePullBackOff" != known.get(item["name"]):
                text = f'Back-off pulling image "{item.get("image")}"'
                yield pod_event(pod, "BackOff", text, container=item["name"])


def _waits(status: Json) -> str:
    return str(((status.get("state") or {}).get("waiting") or {}).get("reason", ""))


def killing(pod: Json, job: PodRecord) -> Iterator[Event]:
    """Yield what a kubelet tells when it begins to stop a pod."""
    for container in job.status.containers:
        if isinstance(container.state, Running):
            yield pod_event(pod, "Killing", f"Stopping container {container.name}", container=container.name)


def _begun(status: Json) -> Iterator[str]:
    """Yield the containers that have run: one that was created may wait for its start, or never come to it."""
    for key in ("state", "lastState"):
        of = status.get(key) or {}
        ended = of.get("terminated") or {}
        if "running" in of or (ended and ended.get("reason") != "StartError"):
            yield str(ended.get("containerID") or status.get("containerID") or "")


def _identities(status: Json) -> Iterator[str]:
    for part in (status, (status.get("lastState") or {}).get("terminated") or {}):
        if part.get("containerID"):
            yield str(part["containerID"])


def _field(pod: Json, container: str) -> str:
    for key in ("initContainers", "containers"):
        if any(item["name"] == container for item in pod["spec"].get(key) or []):
            return f"spec.{key}{{{container}}}"
    return ""


@dataclass
class _Known:
    """An event that was written, to be counted up."""

    name: str
    count: int = 1


class Recorder:
    """Writes events in the background, in order; one that is refused is dropped, with a line in the log."""

    def __init__(self, kube: Kube, node: str) -> None:
        self._kube, self._node = kube, node
        self._queue: asyncio.Queue[Event] = asyncio.Queue(maxsize=10_000)
        self._known: OrderedDict[Any, _Known] = OrderedDict()
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()  # uid -> left, at
        self._pace = Pace(PER_SECOND, AT_ONCE)

    def record(self, event: Event) -> None:
        """Have an event written; never waits."""
        if not self._may(event.about.get("uid", "")):
            return
        try:
            self._queue.put_nowait(replace(event, time=event.time or datetime.now(timezone.utc)))
        except asyncio.QueueFull:
            log.warning("too many events wait; dropped: %s", event.reason)

    async def run(self, workers: int = 4) -> None:
        """Write until cancelled."""
        await asyncio.gather(*(self._worker() for _ in range(workers)))

    async def flush(self) -> None:
        """Wait until all events of now are written."""
        await self._queue.join()

    async def _worker(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                await self._pace.turn()
                await self._insist(event)
            except InterlinkError as error:
                log.info("event %s of %s is lost: %s", event.reason, event.about.get("name"), error)
            finally:
                self._queue.task_done()

    async def _insist(self, event: Event) -> None:
        """Write an event, again and again while the API server is away or too busy: as long as a kubelet does."""
        for _ in range(TRIES - 1):
            try:
                return await self._write(event)
            except InterlinkError as error:
                if isinstance(error, ApiError) and error.status < 500 and not error.refused_for_now:
                    raise
            await asyncio.sleep(AGAIN_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311
        return await self._write(event)

    async def _write(self, event: Event) -> None:
        key = (tuple(sorted(event.about.items())), event.reason, event.message, event.type)
        now = gojson.format_time(event.time or datetime.now(timezone.utc)) or ""
        namespace = event.about.get("namespace") or "default"
        known = self._known.get(key)
        if known is not None:
            known.count += 1
            body = {"count": known.count, "lastTimestamp": now}
            try:
                await self._kube.patch(paths.event(namespace, known.name), body, "merge")
                return
            except InterlinkError as error:
                known.count -= 1
                if not (isinstance(error, ApiError) and error.missing):
                    raise  # it has not expired
        fresh = _Known(f"{event.about.get('name', '')[:_NAME]}.{time.time_ns():x}")
        self._known[key] = fresh
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        try:
            await self._kube.create(paths.events(namespace), self._body(event, fresh.name, namespace, now))
        except InterlinkError:
            self._known.pop(key, None)
            raise

    def _body(self, event: Event, name: str, namespace: str, now: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": dict(event.about),
            "reason": event.reason,
            "message": event.message[:1024],
            "type": event.type,
            "source": {"component": "kubelet", "host": self._node},
            "reportingComponent": "kubelet",
            "reportingInstance": self._node,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }

    def _may(self, uid: str) -> bool:
        """Say whether an object may cause one more event now."""
        now = time.monotonic()
        left, at = self._tokens.pop(uid, (BURST, now))
        left = min(BURST, left + (now - at) / REFILL_SECONDS)
        self._tokens[uid] = (left - 1 if left >= 1 else left, now)
        while len(self._tokens) > _KNOWN:
            self._tokens.popitem(last=False)
        return left >= 1
