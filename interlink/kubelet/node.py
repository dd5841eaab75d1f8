"""One node in the Kubernetes API, kept as it should be: created, applied, tainted, created again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from interlink.client.within import waited, within
from interlink.errors import Conflict, InterlinkError
from interlink.kubelet import nodeobject, paths, taints
from interlink.kubelet.conditions import View, is_away
from interlink.kubelet.kube import ApiError, Kube
from interlink.kubelet.nodeobject import MANAGER, Identity

LOOK_SECONDS = 10.0  # a deleted node must be back within 40 s, an Unknown condition be put right
STATUS_SECONDS = 300.0  # a status that nothing has changed is written all the same
RETRY_SECONDS = 1.0
STOP_SECONDS = 5.0
_log = logging.getLogger(__name__)

Json = dict[str, Any]


class Node:
    """Keeps one node. Level-triggered: every round reads the node and writes only what differs.

    `look` returns what is known of the node right now; `wake` asks for a round at once. `registered` hears
    the node's UID in every round, None while there is no node: the Lease must be pointed to it.
    """

    def __init__(
        self,
        kube: Kube,
        identity: Identity,
        look: Callable[[], View],
        registered: Callable[[str | None], None],
        *,
        period: float = LOOK_SECONDS,
    ) -> None:
        self._kube, self._identity = kube, identity
        self._look, self._registered, self._period = look, registered, period
        self._wake = asyncio.Event()
        self.is_absent = False
        self._written = -STATUS_SECONDS
        self._refused = False

    def wake(self) -> None:
        """Something about the node may have changed."""
        self._wake.set()

    async def run(self) -> None:
        """Keep the node until cancelled; failures are told once, and tried again ever more slowly."""
        failures, told = 0, ""
        while True:
            self._wake.clear()
            try:
                await self.sync()
                failures, told = 0, ""
            except InterlinkError as error:
                failures += 1
                level = logging.DEBUG if str(error) == told else logging.WARNING
                _log.log(level, "node %s: %s", self._identity.name, error)
                told = str(error)
            pause = min(self._period, RETRY_SECONDS * 2 ** min(failures - 1, 20)) if failures else self._period
            await waited(self._wake, pause)

    async def sync(self) -> None:
        """One round: create the node if it is not there, then labels, status and taints."""
        view = self._look()
        node = await self._get()
        if node is None:
            self._registered(None)
            self.is_absent = view.record is None  # nobody offers it: it is not ours to create
            if self.is_absent:
                return
            node = await self._create(view)
        if not nodeobject.is_virtual(node):
            raise Conflict("a node of this name exists and is no virtual one; delete it, or choose another name")
        self._registered(node["metadata"]["uid"])
        node = await self._put_metadata(view, node)
        node = await self._put_status(view, node)
        await self._put_taints(view, node)

    async def stop(self) -> None:
        """Say NotReady, in a few seconds or not at all; `look` must say that it is stopping."""
        try:
            node = await within(STOP_SECONDS, self._get())
            if node is not None and nodeobject.is_virtual(node):
                await within(STOP_SECONDS, self._put_status(self._look(), node))
        except (InterlinkError, asyncio.TimeoutError) as error:
            _log.warning("node %s could not say that it stops: %s", self._identity.name, error or "no answer in time")

    async def _get(self) -> Json | None:
        try:
            return await self._kube.get(paths.node(self._identity.name))
        except ApiError as error:
            if error.missing:
                return None
            raise

    async def _create(self, view: View) -> Json:
        body = nodeobject.registration(self._identity, view.record)
        try:
            node = await self._kube.create(paths.nodes(), body, fieldManager=MANAGER)
        except ApiError as error:
            if not error.conflict:
                raise
            return await self._kube.get(paths.node(self._identity.name))  # our own first try, or another's
        _log.info("node %s was created", self._identity.name)
        return node

    async def _put_metadata(self, view: View, node: Json) -> Json:
        wanted = nodeobject.metadata(self._identity, view.record, node)
        if view.record is None or not nodeobject.metadata_differs(wanted, node):
            return node
        return await self._kube.patch(paths.node(self._identity.name), wanted, "apply", manager=MANAGER)

    async def _put_status(self, view: View, node: Json) -> Json:
        wanted = nodeobject.status(self._identity, view, node, datetime.now(timezone.utc))
        now = asyncio.get_running_loop().time()
        if now - self._written < STATUS_SECONDS and not nodeobject.status_differs(wanted, node):
            return node
        answer = await self._kube.patch(paths.node_status(self._identity.name), wanted, "apply", manager=MANAGER)
        self._written = now
        return answer

    async def _put_taints(self, view: View, node: Json) -> None:
        asked = taints.wanted(self._identity.taint, view.record) if view.record else None
        change = taints.patch(asked, node, away=is_away(view))
        if change is None:
            return
        try:
            await self._kube.patch(paths.node(self._identity.name), change, "merge", manager=MANAGER)
        except ApiError as error:
            if error.conflict:
                self.wake()  # somebody changed the node meanwhile: look again
            elif error.status != 403:
                raise
            elif not self._refused:  # a node's own certificate may not change its taints
                self._refused = True
                _log.warning("node %s: its taints cannot be changed: %s", self._identity.name, error)
