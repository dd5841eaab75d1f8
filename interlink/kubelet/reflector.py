"""A copy of a cluster's objects that follows them: list once, then watch."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from interlink.errors import ConnectionLost, InterlinkError
from interlink.kubelet import paths
from interlink.kubelet.kube import ApiError, Kube
from interlink.kubelet.together import together

Object = dict[str, Any]

PAGE = 250  # objects a request of the list
WATCH_SECONDS = 300.0  # about; then the server ends a watch, and the next one begins
SHORT_SECONDS = 1.0  # a watch that ends sooner without an event is no clean end
SILENCE_SECONDS = 15.0  # beyond the watch's own time: a server that is gone without a word
FIRST_SECONDS = 0.5
REFUSED_SECONDS, AWAY_SECONDS = 30.0, 4.0  # at most: a server that says no, and one that does not answer
_log = logging.getLogger(__name__)


class Store:
    """Objects by UID. One that is gone can still be asked for by `gone` until `forget`."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._objects: dict[str, Object] = {}
        self._gone: dict[str, Object] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        """All objects, as they were when asked."""
        return iter(list(self._objects.values()))

    def __contains__(self, uid: str) -> bool:
        return uid in self._objects

    def get(self, uid: str) -> Object | None:
        """The object now; it belongs to the store: never change it."""
        return self._objects.get(uid)

    def gone(self, uid: str) -> Object | None:
        """The last seen state of an object that has been removed from the cluster."""
        return self._gone.get(uid)

    def forget(self, uid: str) -> None:
        """Drop what is kept of a removed object."""
        self._gone.pop(uid, None)

    def put(self, item: Object) -> None:
        """Take an object in; one that is known already in this very version changes nothing."""
        metadata = item["metadata"]
        metadata.pop("managedFields", None)  # half of an object's size
        uid: str = metadata["uid"]
        known = self._objects.get(uid)
        if known and known["metadata"]["resourceVersion"] == metadata["resourceVersion"]:
            return
        self._objects[uid] = item
        self._gone.pop(uid, None)
        self._on_change(uid)

    def remove(self, uid: str, last: Object | None = None) -> None:
        """Take note that an object is gone; `last` is its final state where that is known."""
        known = self._objects.pop(uid, None)
        if known is None:
            return
        self._gone[uid] = last or known
        self._on_change(uid)

    def replace(self, items: dict[str, Object]) -> None:
        """Take in a whole list: what is not in it is gone."""
        for uid in [uid for uid in self._objects if uid not in items]:
            self.remove(uid)
        for item in items.values():
            self.put(item)


class Reflector:
    """Keeps `store` like the cluster's objects of a path; `on_change` hears of every UID that changed.

    `synced` is set once the first list is complete. Survives whatever the API server does: an interrupted watch goes
    on where it was, one that is too old begins with a new list, and errors are met by waiting.
    """

    def __init__(
        self,
        kube: Kube,
        path: str,
        on_change: Callable[[str], None],
        *,
        watch_seconds: float = WATCH_SECONDS,
        on_return: Callable[[], None] | None = None,
        **query: str,
    ) -> None:
        """`query` selects, such as fieldSelector="spec.nodeName=n1". `on_return` hears that an outage is over."""
        self.store = Store(on_change)
        self.synced = asyncio.Event()
        self._kube, self._path, self._query = kube, path, query
        self._watch_seconds = watch_seconds
        self._version: str | None = None  # None: a list is due
        self._failures = 0
        self._on_return = on_return or (lambda: None)
        self._doubts = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.step()

    def doubt(self) -> None:
        """Open the watch anew: its connection may be one that leads nowhere, and would be silent for minutes."""
        self._doubts.set()

    async def step(self) -> None:
        """List if that is due, then watch once to its end; waits after an error, which it logs."""
        try:
            if self._version is None:
                self._version = await self._list()
                self.synced.set()
            self._doubts.clear()
            await together(self._watch(self._version), self._doubts.wait())
        except InterlinkError as error:
            await self._failed(error)

    async def _failed(self, error: InterlinkError) -> None:
        if isinstance(error, ApiError) and error.expired:
            self._version = None
        self._failures += 1
        pause = pause_after(error, self._failures)
        _log.warning("%s: %s; again in %.1f s", self._path, error, pause)
        await asyncio.sleep(pause)

    async def _list(self) -> str:
        """Read all pages and replace the store; returns the version from which to watch."""
        found: dict[str, Object] = {}
        following: str | None = None
        while True:
            query = {**self._query, "limit": PAGE, "continue": following}
            page = await self._kube.get(paths.with_query(self._path, query))
            kind = {"apiVersion": page["apiVersion"], "kind": page["kind"].removesuffix("List")}
            for item in page.get("items") or []:
                found[item["metadata"]["uid"]] = {**kind, **item}  # a list leaves out what a watch says
            following = page["metadata"].get("continue")
            if not following:
                self.store.replace(found)
                return str(page["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        seconds = self._watch_seconds * random.uniform(0.8, 1.2)  # noqa: S311 - so that not all end at once
        opened = self._kube.watch(
            self._path,
            silence=seconds + SILENCE_SECONDS,
            resourceVersion=version,
            allowWatchBookmarks=True,
            timeoutSeconds=max(round(seconds), 1),
            **self._query,
        )
        begun, heard = time.monotonic(), False
        async with opened as events:
            if self._failures:
                self._on_return()
            async for event in events:
                heard = True
                self._failures = 0
                self._take(event["type"], event["object"])
        if not heard and time.monotonic() < begun + SHORT_SECONDS:
            raise ConnectionLost("the watch ended as soon as it had begun")
        self._failures = 0

    def _take(self, kind: str, item: Object) -> None:
        metadata = item["metadata"]
        self._version = metadata["resourceVersion"]
        if kind == "DELETED":
            self.store.remove(metadata["uid"], item)
        elif kind != "BOOKMARK":
            self.store.put(item)


def pause_after(error: InterlinkError, failures: int, spread: float | None = None) -> float:
    """Seconds before the next try: none where a new list mends it, else 0.5 doubling, at most a half less.

    A server that is away costs nobody anything by being asked; one that refuses does. `spread` from 0 to 1 stands
    for chance.

    >>> refusal = ApiError(403, "Forbidden", "")
    >>> [pause_after(refusal, failures, 0.0) for failures in (1, 3, 99)], pause_after(refusal, 99, 1.0)
    ([0.5, 2.0, 30.0], 15.0)
    >>> pause_after(ConnectionLost("gone"), 99, 0.0), pause_after(ApiError(410, "Expired", ""), 1)
    (4.0, 0.0)
    """
    if isinstance(error, ApiError) and error.expired and failures == 1:
        return 0.0
    chance = random.random() if spread is None else spread  # noqa: S311 - no secret
    longest = REFUSED_SECONDS if isinstance(error, ApiError) else AWAY_SECONDS
    return float(min(FIRST_SECONDS * 2 ** min(failures - 1, 20), longest) * (1 - chance / 2))
