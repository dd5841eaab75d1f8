"""Whether the API server still speaks for the cluster that we serve: its store may have been replaced beneath it."""

from __future__ import annotations

import asyncio
import logging
import time

from interlink.kubelet import paths
from interlink.kubelet.kube import Kube

KEEP_SECONDS = 5.0  # an answer holds for all pods that vanish together
_log = logging.getLogger(__name__)


async def cluster_uid(kube: Kube) -> str:
    """Return what names a cluster: the UID of its service `kubernetes`, "" where there is none."""
    services = await kube.get(paths.services("default"), fieldSelector="metadata.name=kubernetes")
    return str(next((item["metadata"]["uid"] for item in services.get("items") or []), ""))


class SameCluster:
    """Asks now and then who the API server speaks for."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._uid, self._asked = "", -KEEP_SECONDS
        self._turn = asyncio.Lock()

    async def is_still(self, uid: str) -> bool:
        """Say whether it is this cluster; one whose name was never known is taken for the same."""
        if not uid:
            return True
        async with self._turn:
            if time.monotonic() - self._asked >= KEEP_SECONDS:
                self._uid, self._asked = await cluster_uid(self._kube), time.monotonic()
                if self._uid != uid:
                    _log.error(
                        "the API server speaks for another cluster (%s, we serve %s): no pod is stopped because it is "
                        "missing there; restart the kubelet if this is to be its cluster",
                        self._uid or "without a service `kubernetes`",
                        uid,
                    )
        return self._uid == uid
