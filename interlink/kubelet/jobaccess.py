"""What an older virtual kubelet's configuration says of pods that run far from the cluster.

The API server may have another address there, and another authority; and pods may be refused the tokens that
they would otherwise carry away.
"""

from __future__ import annotations

from typing import Any

from interlink.kubelet.cache import Cache
from interlink.kubelet.kube import Kube
from interlink.kubelet.references import Resolved, Resolver, Site
from interlink.kubelet.settings import JobAccess
from interlink.model.driver import VolumeFile
from interlink.model.pod import Json

ROOT_CA = "kube-root-ca.crt"


class StatedApi(Cache):
    """A cache in which the service of the API server, and its authority, are as the configuration says."""

    def __init__(self, kube: Kube, stated: JobAccess) -> None:
        super().__init__(kube)
        self._stated = stated

    async def get(self, kind: str, namespace: str, name: str, *, fresh_seconds: float | None = None) -> Json | None:
        found = await super().get(kind, namespace, name, fresh_seconds=fresh_seconds)
        if found is None or not self._stated.ca or (kind, name) != ("ConfigMap", ROOT_CA):
            return found
        return {**found, "data": {**found.get("data", {}), "ca.crt": self._stated.ca}}

    async def services(self, namespace: str) -> list[Json]:
        return [self._moved(item) for item in await super().services(namespace)]

    async def kubernetes(self) -> list[Json]:
        return [self._moved(item) for item in await super().kubernetes()]

    def _moved(self, service: Json) -> Json:
        metadata, spec = service["metadata"], service["spec"]
        if (metadata.get("namespace"), metadata["name"]) != ("default", "kubernetes"):
            return service
        ports: list[dict[str, Any]] = [dict(port) for port in spec.get("ports") or ()]
        if self._stated.port and ports:
            ports[0]["port"] = int(self._stated.port)
        address = self._stated.host or spec.get("clusterIP")
        return {**service, "spec": {**spec, "clusterIP": address, "clusterIPs": [address], "ports": ports}}


class WithoutProjected(Resolver):
    """A resolver that takes projected volumes, tokens among them, out of every pod."""

    async def request(self, raw: Json, site: Site) -> Resolved:
        return await super().request(without_projected(raw), site)

    async def volumes(self, raw: Json, site: Site) -> dict[str, tuple[VolumeFile, ...]]:
        return await super().volumes(without_projected(raw), site)


def without_projected(raw: Json) -> Json:
    """Return a manifest without its projected volumes and what mounts them."""
    spec: dict[str, Any] = dict(raw["spec"])
    dropped = {volume["name"] for volume in spec.get("volumes") or () if volume.get("projected") is not None}
    if not dropped:
        return raw
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in dropped]
    for key in ("initContainers", "containers"):
        if spec.get(key):
            spec[key] = [_unmounted(item, dropped) for item in spec[key]]
    return {**raw, "spec": spec}


def _unmounted(container: dict[str, Any], dropped: set[str]) -> dict[str, Any]:
    mounts = [mount for mount in container.get("volumeMounts") or () if mount["name"] not in dropped]
    return {**container, "volumeMounts": mounts}
