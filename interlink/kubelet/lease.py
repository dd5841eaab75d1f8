"""The node's heartbeat: the Lease of its name in kube-node-lease, renewed on time whatever else is slow."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from interlink.client.within import waited, within
from interlink.errors import InterlinkError, Unavailable
from interlink.kubelet import paths
from interlink.kubelet.kube import ApiError, Kube

NAMESPACE = "kube-node-lease"
DURATION_SECONDS = 40  # a node without renewal is Unknown 50 s after the last one
RENEW_SECONDS = 10.0
TIMEOUT_SECONDS = 8.0  # a slow answer still renews what holds for 40
_TRIES = 5
_log = logging.getLogger(__name__)

Json = dict[str, Any]


def micro_time(moment: datetime) -> str:
    """Write a MicroTime: without its microseconds the API server answers 400."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def renewed(lease: Mapping[str, Any] | None, name: str, uid: str | None, now: datetime) -> Json:
    """Return the Lease as it is to be written; `uid` is the node's, None while it is not known.

    A wrong owner would have the Lease collected as garbage.
    """
    metadata: Json = dict(lease["metadata"]) if lease else {"name": name, "namespace": NAMESPACE}
    if uid is not None:
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]
    spec = {"holderIdentity": name, "leaseDurationSeconds": DURATION_SECONDS, "renewTime": micro_time(now)}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def following(due: float, period: float, now: float, *, failed: bool) -> float:
    """Return the moment of the renewal after the one that was due at `due`; soon, if that has failed.

    >>> following(100.0, 10.0, 101.5, failed=False), following(100.0, 10.0, 101.5, failed=True)
    (110.0, 103.5)
    >>> following(100.0, 10.0, 117.0, failed=False)
    117.0
    """
    return now + period / 5 if failed else max(due + period, now)


class NodeLease:
    """Renews one node's Lease. `renewed_once` is set when that has worked for the first time."""

    def __init__(self, kube: Kube, name: str, *, period: float = RENEW_SECONDS) -> None:
        self.renewed_once = asyncio.Event()
        self._kube, self._name, self._period = kube, name, period
        self._uid: str | None = None
        self._seen: Json | None = None
        self._due = asyncio.Event()

    def point_to(self, uid: str | None) -> None:
        """Make the node of this UID the owner, at once: the node was created, or created anew. None: there is none."""
        if uid != self._uid:
            self._uid, self._seen = uid, None
            self._due.set()

    async def run(self) -> None:
        """Renew until cancelled, at fixed moments; a failure is told, and the next moment tries again."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        failing = False
        while True:
            self._due.clear()
            begun = loop.time()
            try:
                await within(TIMEOUT_SECONDS, self.renew())
                failing = False
            except (InterlinkError, asyncio.TimeoutError) as error:
                level = logging.DEBUG if failing else logging.WARNING
                _log.log(level, "node %s: its lease was not renewed: %s", self._name, error or "no answer in time")
                failing = True
            due = following(min(due, begun), self._period, loop.time(), failed=failing)
            await waited(self._due, due - loop.time())

    async def renew(self) -> None:
        """Write the Lease once; whoever else has written it meanwhile is overtaken, five times at most."""
        for _ in range(_TRIES):
            try:
                if await self._write():
                    self.renewed_once.set()
                    return
            except ApiError as error:
                if not error.conflict and not error.missing:
                    raise
                self._seen = None
        raise Unavailable("others change it without pause")

    async def _write(self) -> bool:
        """Return whether there was anything to write: the Lease of a node that is not known is not created."""
        if self._seen is None:
            self._seen = await self._read()
        body = renewed(self._seen, self._name, self._uid, datetime.now(timezone.utc))
        if self._seen is not None:
            self._seen = await self._kube.replace(paths.lease(NAMESPACE, self._name), body, timeout=TIMEOUT_SECONDS)
        elif self._uid is not None:
            self._seen = await self._kube.create(paths.leases(NAMESPACE), body, timeout=TIMEOUT_SECONDS)
        return self._seen is not None

    async def _read(self) -> Json | None:
        try:
            return await self._kube.get(paths.lease(NAMESPACE, self._name), timeout=TIMEOUT_SECONDS)
        except ApiError as error:
            if error.missing:
                return None
            raise
