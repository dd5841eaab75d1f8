"""ConfigMaps, Secrets and Services on demand, each kept for a moment; nothing is watched."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from interlink.kubelet import paths
from interlink.kubelet.kube import ApiError, Kube
from interlink.model.pod import Json

KEEP_SECONDS = 30.0
ABSENT_SECONDS = 2.0  # a pod may wait for an object that is about to be made
_ENTRIES = 4096

Key = tuple[str, str, str]  # kind, namespace, name


class Cache:
    """Objects by kind, namespace and name; one request at a time for each, however many ask."""

    def __init__(self, kube: Kube, keep_seconds: float = KEEP_SECONDS) -> None:
        self._kube, self._keep = kube, keep_seconds
        self._entries: OrderedDict[Key, tuple[float, list[Json]]] = OrderedDict()
        self._locks: dict[Key, asyncio.Lock] = {}

    async def get(self, kind: str, namespace: str, name: str, *, fresh_seconds: float | None = None) -> Json | None:
        """Return a ConfigMap or Secret no older than asked for, None if there is none."""
        where = (paths.config_map if kind == "ConfigMap" else paths.secret)(namespace, name)
        found = await self._cached((kind, namespace, name), lambda: self._one(where), fresh_seconds)
        return found[0] if found else None

    async def services(self, namespace: str) -> list[Json]:
        """Return the services of a namespace."""
        return await self._cached(("Service", namespace, ""), lambda: self._list(paths.services(namespace)), None)

    async def kubernetes(self) -> list[Json]:
        """Return the service of the API server, by a list: a kubelet has no right to get one service."""
        where = paths.with_query(paths.services("default"), {"fieldSelector": "metadata.name=kubernetes"})
        return await self._cached(("Service", "default", "kubernetes"), lambda: self._list(where), None)

    async def _cached(
        self, key: Key, ask: Callable[[], Awaitable[list[Json]]], fresh_seconds: float | None
    ) -> list[Json]:
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._entries.get(key)
            if known is not None and time.monotonic() - known[0] < self._age(known[1], fresh_seconds):
                return known[1]
            found = await ask()
            self._entries[key] = (time.monotonic(), found)
            self._entries.move_to_end(key)
            while len(self._entries) > _ENTRIES:
                old, _ = self._entries.popitem(last=False)
                self._locks.pop(old, None)
            return found

    def _age(self, found: list[Json], fresh_seconds: float | None) -> float:
        age = self._keep if fresh_seconds is None else fresh_seconds
        return age if found else min(age, ABSENT_SECONDS)

    async def _one(self, where: str) -> list[Json]:
        try:
            return [await self._kube.get(where)]
        except ApiError as error:
            if error.missing:
                return []
            raise

    async def _list(self, where: str) -> list[Json]:
        return list((await self._kube.get(where)).get("items") or [])
