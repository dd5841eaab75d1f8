"""Contents of volumes that follow their ConfigMaps, Secrets, labels and tokens while a pod runs."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Mapping, Sequence

from interlink.bundle.references import of_source
from interlink.errors import ConfigError, InterlinkError, InvalidPod, Unsupported
from interlink.kubelet.backend import Backend
from interlink.kubelet.references import Resolver, Site
from interlink.kubelet.tokens import Tokens
from interlink.kubelet.workqueue import WorkQueue
from interlink.model.driver import VolumeFile
from interlink.model.pod import Json, Pod, PodRef

log = logging.getLogger(__name__)

PERIOD_SECONDS = 20.0  # between two looks at what users change
ROOT_CA = "kube-root-ca.crt"  # in every pod, and hardly ever changed
ROOT_CA_SECONDS = 600.0
RETRY_SECONDS = 15.0
SOON_SECONDS = 60.0  # within which pods are refreshed whose tokens a predecessor has made
_KINDS = ("configMap", "secret", "projected", "downwardAPI")
_WORKERS = 8

Volumes = Mapping[str, Sequence[VolumeFile]]


class Refresher:
    """Looks at the volumes of running pods now and then, and sends what has changed.

    `running` returns a pod of ours that runs, or None.
    """

    def __init__(
        self, backend: Backend, resolver: Resolver, tokens: Tokens, running: Callable[[str], tuple[Json, Site] | None]
    ) -> None:
        self._backend, self._resolver, self._tokens = backend, resolver, tokens
        self._running = running
        self._sent: dict[str, dict[str, str]] = {}  # uid -> volume -> digest
        self._followed: set[str] = set()
        self._hopeless: set[str] = set()
        self._queue: WorkQueue[str] = WorkQueue(self._look, workers=_WORKERS)

    async def run(self) -> None:
        await self._queue.run()

    def submitted(self, uid: str, volumes: Volumes) -> None:
        """Take note of what a pod was created with."""
        self._sent[uid] = _digests(volumes)

    def follow(self, pod: Json) -> None:
        """Keep a running pod's volumes fresh from now on; cheap if they are already."""
        uid = pod["metadata"]["uid"]
        if uid in self._followed or uid in self._hopeless or not refreshable(Pod(pod)):
            return
        self._followed.add(uid)
        known = uid in self._sent
        first = self._wait(Pod(pod)) if known else random.uniform(0.0, SOON_SECONDS)  # noqa: S311
        self._queue.add_after(uid, first)

    def look(self, uid: str) -> None:
        """Look at once: labels or annotations have changed."""
        if uid in self._followed:
            self._queue.add(uid)

    def forget(self, uid: str) -> None:
        self._followed.discard(uid)
        self._hopeless.discard(uid)
        self._sent.pop(uid, None)

    async def _look(self, uid: str) -> float | None:
        found = self._running(uid)
        if found is None:
            self._followed.discard(uid)
            return None
        raw, site = found
        try:
            await self._send(raw, site)
        except Unsupported as error:
            log.info("pod %s: its volumes stay as they were: %s", uid, error)
            self._hopeless.add(uid)
            return None
        except (InvalidPod, ConfigError) as error:
            log.warning("pod %s: its volumes cannot be refreshed: %s", uid, error)
            return ROOT_CA_SECONDS
        except InterlinkError as error:  # what is gone leaves its old contents; it may have just ended
            log.info("pod %s: its volumes cannot be refreshed now: %s", uid, error)
            return RETRY_SECONDS
        return self._wait(Pod(raw))

    async def _send(self, raw: Json, site: Site) -> None:
        volumes = await self._resolver.volumes(raw, site)
        digests, uid = _digests(volumes), raw["metadata"]["uid"]
        before = self._sent.get(uid, {})
        changed = {name: volumes[name] for name, digest in digests.items() if before.get(name) != digest}
        if changed:
            await self._backend.update(PodRef.of(Pod(raw)), changed)
            self._sent[uid] = digests

    def _wait(self, pod: Pod) -> float:
        period = period_of(pod) * random.uniform(0.8, 1.2)  # noqa: S311
        due = self._tokens.due(pod.uid)
        return period if due is None else min(period, due + 0.1)


def refreshable(pod: Pod) -> bool:
    """Say whether a pod has volumes whose contents may change while it runs."""
    return any(volume.get(kind) is not None for volume in pod.volumes for kind in _KINDS)


def period_of(pod: Pod) -> float:
    """Return the seconds between two looks at a pod's volumes."""
    sources = [s for volume in pod.volumes for s in (volume, *((volume.get("projected") or {}).get("sources") or []))]
    named = {reference.name for source in sources for reference in of_source(source, "")}
    return PERIOD_SECONDS if named - {ROOT_CA} else ROOT_CA_SECONDS


def _digests(volumes: Volumes) -> dict[str, str]:
    return {name: _digest(listed) for name, listed in volumes.items()}


def _digest(listed: Sequence[VolumeFile]) -> str:
    total = hashlib.sha256()
    for file in sorted(listed, key=lambda item: item.path):
        total.update(f"{file.path}\0{file.mode}\0{len(file.data)}\0".encode())
        total.update(file.data)
    return total.hexdigest()
