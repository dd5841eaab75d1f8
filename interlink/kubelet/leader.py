"""Which of several kubelets serves a node: the one that holds the Lease `interlink-<node>`.

Whoever stands by judges by its own clock alone: a Lease that it has seen unchanged for its whole duration is
free. Whoever leads stops all writes well before that, when it has not been able to renew (`gate`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from interlink.errors import InterlinkError
from interlink.kubelet import paths
from interlink.kubelet.gate import Gate
from interlink.kubelet.kube import ApiError, Kube
from interlink.kubelet.lease import NAMESPACE, micro_time

_log = logging.getLogger(__name__)

Json = dict[str, Any]


@dataclass(frozen=True)
class Times:
    """Seconds: how long a Lease holds, how soon its holder stops without renewal, and how often it renews.

    Another looks every `look` seconds and takes over at most `duration` + `look` after the last renewal: within 15 s,
    its start included. A server that answers within `answer` is not too slow to lead with.
    """

    duration: int = 12
    deadline: float = 10.0
    renew: float = 2.0
    look: float = 1.0
    answer: float = 4.5


def identity() -> str:
    """Return a name for this process that no other has."""
    return f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"


@dataclass
class Observation:
    """A Lease as somebody who does not hold it sees it; `since` is the local time of its last change."""

    version: str = ""
    since: float = 0.0

    def free_in(self, lease: Mapping[str, Any], now: float) -> float:
        """Return in how many seconds the Lease may be taken; 0 or less: now."""
        if lease["metadata"]["resourceVersion"] != self.version:
            self.version, self.since = lease["metadata"]["resourceVersion"], now
        spec = lease.get("spec") or {}
        if not spec.get("holderIdentity"):
            return 0.0
        return self.since + float(spec.get("leaseDurationSeconds") or 0) - now


def held(lease: Mapping[str, Any] | None, name: str, holder: str, seconds: int, now: datetime) -> Json:
    """Return the Lease as its holder writes it; an empty holder gives it back."""
    before = dict((lease or {}).get("spec") or {})
    spec = {**before, "holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": micro_time(now)}
    if before.get("holderIdentity") != holder and holder:
        spec["acquireTime"] = micro_time(now)
        spec["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + (1 if lease else 0)
    metadata = lease["metadata"] if lease else {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


class Leader:
    """One candidate for one node. Writes of that node go through `gate`."""

    def __init__(self, kube: Kube, node: str, *, me: str | None = None, times: Times | None = None) -> None:
        self.gate = Gate()
        self._kube, self._times = kube, times or Times()
        self._name, self._me = f"interlink-{node}", me or identity()
        self._seen: Json | None = None
        self._observed = Observation()

    async def acquire(self) -> None:
        """Return once this process leads, and the gate is open; touches nothing but the Lease before."""
        told = False
        while True:
            try:
                wait = await self._try()
            except (InterlinkError, asyncio.TimeoutError) as error:
                _log.warning("lease %s: %s", self._name, error or "no answer in time")
                wait = self._times.look
            if wait is None:
                return
            if not told and wait > self._times.look:
                _log.info("lease %s is another's (%s): standing by", self._name, self._holder())
                told = True
            await asyncio.sleep(min(self._times.look, max(wait, 0.05)))

    async def hold(self) -> None:
        """Renew until another has taken the Lease; returns then, with the gate shut.

        While the API server is away the gate shuts in time, and opens again if nobody has taken over.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._times.renew, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                await self._write(self._me)
            except ApiError as error:
                if (error.conflict or error.missing) and not await self._still_mine():
                    self.gate.shut()
                    _log.warning("lease %s was taken over by %s", self._name, self._holder() or "somebody")
                    return
            except (InterlinkError, asyncio.TimeoutError) as error:
                _log.debug("lease %s: %s", self._name, error)

    async def release(self) -> None:
        """Shut the gate and let another take over at once; best effort."""
        leads = self.gate.is_open
        self.gate.shut()
        if not leads:
            return
        try:
            await self._put("", seconds=1)
        except (InterlinkError, asyncio.TimeoutError) as error:
            _log.warning("lease %s was not given back: %s", self._name, error or "no answer in time")

    async def _try(self) -> float | None:
        """Take the Lease if it is free; return in how many seconds it may be, None if it is ours now."""
        self._seen = await self._read()
        if self._seen is not None and self._holder() != self._me:
            wait = self._observed.free_in(self._seen, asyncio.get_running_loop().time())
            if wait > 0:
                return wait
        try:
            await self._write(self._me)
        except ApiError as error:
            if error.conflict or error.missing:  # another was faster
                return self._times.look
            raise
        return None

    async def _still_mine(self) -> bool:
        """After a conflict: it may have been our own write, whose answer was lost."""
        try:
            self._seen = await self._read()
        except (InterlinkError, asyncio.TimeoutError):
            return True  # not known: the gate decides, and the next renewal
        return self._holder() == self._me

    async def _write(self, holder: str) -> None:
        started = asyncio.get_running_loop().time()
        await self._put(holder, seconds=self._times.duration)
        self.gate.open_until(started + self._times.deadline)

    async def _put(self, holder: str, *, seconds: int) -> None:
        body = held(self._seen, self._name, holder, seconds, datetime.now(timezone.utc))
        if self._seen is None:
            call = self._kube.create(paths.leases(NAMESPACE), body, timeout=self._times.answer)
        else:
            call = self._kube.replace(paths.lease(NAMESPACE, self._name), body, timeout=self._times.answer)
        self._seen = await call

    async def _read(self) -> Json | None:
        try:
            return await self._kube.get(paths.lease(NAMESPACE, self._name), timeout=self._times.answer)
        except ApiError as error:
            if error.missing:
                return None
            raise

    def _holder(self) -> str:
        return str(((self._seen or {}).get("spec") or {}).get("holderIdentity") or "")
