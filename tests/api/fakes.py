"""A composition over one mock host, in memory: what the API needs of a dispatcher and no more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from interlink.drivers.mock import MockDriver
from interlink.errors import NotFound
from interlink.model.driver import (
    Change,
    Created,
    HostRecord,
    LogQuery,
    LogStream,
    NodeRecord,
    Ping,
    PodEvent,
    PodRecord,
    Taint,
    Volumes,
)
from interlink.model.host import Host
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import Phase, PodStatus
from interlink.model.usage import NodeUsage, PodUsage

NODE = NodeRecord("vk", {"cpu": "64"}, {"cpu": "60"}, {"a": "b"}, (Taint("k", "v"),), ({"type": "Ready"},))
HOST = HostRecord("m", ("g",), "mock", True, "", {"cpus": 64}, {"pods": 0})


class Composition:
    """A Composition that keeps every pod it was ever asked for."""

    def __init__(self) -> None:
        self.mock = MockDriver(Host("m"), "s")
        self.requests: dict[str, PodRequest] = {}
        self.targets: dict[str, str] = {}
        self.feeds: list[Feed] = []
        self.waits: list[float] = []

    def create(self, request: PodRequest) -> Created:
        uid = request.pod.uid
        created = self.mock.create(request)
        if created.outcome != "deleted":
            self.requests[uid] = request
            self.targets[uid] = "run"
        return created

    def accept(self, request: PodRequest, wait: float = 0.0) -> Created:
        self.waits.append(wait)
        return self.create(request)

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        self.targets[pod.uid] = "deleted"
        return self.mock.delete(pod, 0)

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        return self.mock.status(pods)

    def logs(self, query: LogQuery) -> LogStream:
        return self.mock.logs(query)

    def ping(self) -> Ping:
        return Ping(resources={"cpu": "64", "nvidia.com/gpu": "2"}, taints=(Taint("k"),))

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        self.mock.update(pod, volumes)

    def pods(self, node: str | None = None) -> list[PodRecord]:
        records = [self.pod(status.uid) for status in self.mock.status()]
        return [record for record in records if node in (None, record.node)]

    def pod(self, uid: str) -> PodRecord:
        if uid not in self.requests:
            raise NotFound(f"no pod {uid}")
        pod = self.requests[uid].pod
        found = self.mock.status([PodRef(uid)])
        status = found[0] if found else PodStatus(uid, pod.namespace, pod.name, phase=Phase.SUCCEEDED)
        target: Any = self.targets[uid]
        return PodRecord(
            uid, pod.namespace, pod.name, pod.node_name, "m", target, status, pod.restart_policy, gone=not found
        )

    def nodes(self) -> list[NodeRecord]:
        return [NODE]

    def stats(self, node: str) -> NodeUsage:
        if node != NODE.name:
            raise NotFound(f"no node {node}")
        found = self.mock.stats()
        pods = [self.pod(uid) for uid in found.pods]
        used = tuple(PodUsage(p.uid, p.namespace, p.name, found.taken_at, found.pods[p.uid]) for p in pods)
        return NodeUsage(node, found.taken_at, 12.5, 1 << 30, used)

    def hosts(self) -> list[HostRecord]:
        return [HOST]

    def watch(self, since: int | None = None) -> Feed:
        if since is not None and since < 10:
            raise NotFound("too old")
        feed = Feed([Change(0, "pod", pod) for pod in self.pods()] + [Change(0, "node", NODE), bookmark(10)])
        self.feeds.append(feed)
        return feed

    def say(self, message: str) -> None:
        """Tell every watcher of an event."""
        event = PodEvent("u", "Said", message, datetime.now(timezone.utc))
        for feed in self.feeds:
            feed.put(Change(11, "event", event))

    def ready(self) -> Mapping[str, Any]:
        return {"ok": True, "hosts": {"m": True}}


def bookmark(seq: int) -> Change:
    return Change(seq, "bookmark", None)


class Feed:
    """Changes from a queue, until closed."""

    def __init__(self, changes: list[Change]) -> None:
        self._changes = deque(changes)
        self._news = threading.Condition()
        self.closed = False

    def put(self, change: Change) -> None:
        with self._news:
            self._changes.append(change)
            self._news.notify_all()

    def __iter__(self) -> Iterator[Change]:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._changes or self.closed)
                if self.closed:
                    return
                change = self._changes.popleft()
            yield change

    def close(self) -> None:
        with self._news:
            self.closed = True
            self._news.notify_all()
