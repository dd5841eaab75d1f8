"""All that a pod refers to: from the API server into the request that a backend understands."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from interlink.bundle import care, env, files, services
from interlink.bundle.references import MissingReference, of_source, references
from interlink.bundle.text import HostValue, literal
from interlink.errors import InterlinkError, InvalidPod
from interlink.kubelet.cache import Cache
from interlink.kubelet.podstatus import Held
from interlink.kubelet.tokens import TokenRefused, Tokens
from interlink.model.driver import VolumeFile
from interlink.model.pod import Container, Json, Pod, PodRequest

LOCAL = "127.0.0.1"  # a pod's addresses for a server that does not fill them in (decisions.md 12)


@dataclass(frozen=True)
class Told:
    """A Warning event about a pod or a container of it."""

    reason: str
    message: str
    container: str = ""


class Unresolved(InterlinkError):
    """Something that the pod needs is not there; it waits, and is tried again."""

    retry = True

    def __init__(self, held: Held, told: Sequence[Told]) -> None:
        self.held, self.told = held, tuple(told)
        super().__init__("; ".join(item.message for item in told))


@dataclass(frozen=True)
class Site:
    """What a request says of where it comes from: the cluster, and the node's allocatable.

    `fills_addresses`: the host completes what only it knows.
    """

    origin: str = ""
    allocatable: Mapping[str, str] | None = None
    fills_addresses: bool = True


@dataclass(frozen=True)
class Resolved:
    """A complete request, and the files of its volumes."""

    request: PodRequest
    volumes: Mapping[str, Sequence[VolumeFile]]


class Resolver:
    """Makes requests of pods."""

    def __init__(self, cache: Cache, tokens: Tokens) -> None:
        self._cache, self._tokens = cache, tokens

    async def request(self, raw: Json, site: Site) -> Resolved:
        """Return the complete request: env resolved, every volume with its contents.

        Unresolved where something is missing; InvalidPod where no kubelet could make sense of the pod.
        """
        pod = Pod(raw)
        everything = await self._gathered(pod)
        volumes = self._volumes(everything, site)
        facts = env.Facts(site.allocatable, services.variables(pod, await self._services(pod)))
        resolved = self._with_env(everything, facts, site)
        request = replace(
            _only_needed(everything),
            pod=Pod(_without_managed(resolved)),
            projected=tuple(_synthetic(volume, volumes, site) for volume in pod.volumes if _is_synthetic(volume)),
            resolved=not site.fills_addresses,
            origin=site.origin,
        )
        return Resolved(request, volumes)

    async def volumes(self, raw: Json, site: Site) -> dict[str, tuple[VolumeFile, ...]]:
        """Return the present files of a pod's volumes; Unresolved if some are missing now."""
        return self._volumes(await self._gathered(Pod(raw)), site)

    async def _gathered(self, pod: Pod) -> PodRequest:
        """Return the pod with every object that it mentions and that is there, and with its tokens."""
        names = list(dict.fromkeys((r.kind, r.name) for r in references(pod) if r.name))
        found = await asyncio.gather(*(self._cache.get(kind, pod.namespace, name) for kind, name in names))
        objects = [(kind, thing) for (kind, _), thing in zip(names, found, strict=True) if thing is not None]
        return PodRequest(
            pod,
            configmaps=tuple(thing for kind, thing in objects if kind == "ConfigMap"),
            secrets=tuple(thing for kind, thing in objects if kind == "Secret"),
            projected=tuple([await self._token_map(pod, volume) for volume in pod.volumes if _token_paths(volume)]),
        )

    async def _token_map(self, pod: Pod, volume: Json) -> Json:
        name = str(volume["name"])
        try:
            data = {path: await self._tokens.get(pod, name, source) for path, source in _token_paths(volume).items()}
        except TokenRefused as error:
            raise _mount_failed(name, f"failed to fetch token: {error}") from error
        return {"metadata": {"name": name}, "data": data}

    async def _services(self, pod: Pod) -> list[Json]:
        if pod.spec.get("enableServiceLinks") is False:
            return await self._cache.kubernetes()
        own = await self._cache.services(pod.namespace)
        return own if pod.namespace == "default" else [*own, *await self._cache.kubernetes()]

    def _volumes(self, request: PodRequest, site: Site) -> dict[str, tuple[VolumeFile, ...]]:
        try:
            return files.volume_files(request, allocatable=site.allocatable)
        except MissingReference as error:
            raise _mount_failed(_volume_of(request.pod, error), error.message) from error

    def _with_env(self, request: PodRequest, facts: env.Facts, site: Site) -> dict[str, Any]:
        """Return the manifest with resolved env; Unresolved names every container that cannot have its own."""
        held: dict[str, tuple[str, str]] = {}
        done: dict[str, list[dict[str, Any]]] = {}
        for container in request.pod.containers:
            try:
                done[container.name] = _env(request, container, facts, site)
            except MissingReference as error:
                held[container.name] = ("CreateContainerConfigError", error.message)
        if held:
            told = [Told("Failed", f"Error: {message}", name) for name, (_, message) in held.items()]
            raise Unresolved(Held(held), told)
        spec = dict(request.pod.spec)
        for key in ("initContainers", "containers"):
            if spec.get(key):
                spec[key] = [_containers_env(item, done[str(item["name"])]) for item in spec[key]]
        return {**request.pod.raw, "spec": spec}


def _env(request: PodRequest, container: Container, facts: env.Facts, site: Site) -> list[dict[str, Any]]:
    if site.fills_addresses:
        return env.spelled(request, container, facts)
    addresses = {HostValue.POD_IP: LOCAL, HostValue.HOST_IP: LOCAL}
    values = env.environment(request, container, facts)
    return [{"name": variable.name, "value": literal(variable.value, addresses)} for variable in values]


def _containers_env(raw: Json, entries: list[dict[str, Any]]) -> dict[str, Any]:
    rest = {key: value for key, value in care.spelled(raw).items() if key not in ("env", "envFrom")}
    return {**rest, "env": entries} if entries else rest


def _mount_failed(volume: str, message: str) -> Unresolved:
    told = Told("FailedMount", f'MountVolume.SetUp failed for volume "{volume}" : {message}')
    return Unresolved(Held(), [told])


def _volume_of(pod: Pod, error: InvalidPod) -> str:
    """Return the volume that an error's field lies in: spec.volumes[2].secret -> its name."""
    index = (error.field or "").removeprefix("spec.volumes[").partition("]")[0]
    return str(pod.volumes[int(index)]["name"]) if index.isdigit() and int(index) < len(pod.volumes) else ""


def _token_paths(volume: Json) -> dict[str, Json]:
    """Return the service account tokens of a projected volume by their paths."""
    sources = (volume.get("projected") or {}).get("sources") or []
    wanted = [source["serviceAccountToken"] for source in sources if source.get("serviceAccountToken")]
    return {str(source["path"]): source for source in wanted}


def _is_synthetic(volume: Json) -> bool:
    return any(volume.get(kind) is not None for kind in ("projected", "downwardAPI"))


def _synthetic(volume: Json, volumes: Mapping[str, Sequence[VolumeFile]], site: Site) -> Json:
    """Return the ready files of a projected or downwardAPI volume as a ConfigMap of its name (wire.md 2).

    Our own server gets the objects themselves besides, so there it holds only what is not in them.
    """
    name = str(volume["name"])
    only = _own_paths(volume) if site.fills_addresses else None
    plain: dict[str, str] = {}
    binary: dict[str, str] = {}
    for file in volumes[name]:
        if only is not None and file.path not in only:
            continue
        try:
            plain[file.path] = file.data.decode()
        except UnicodeDecodeError:
            binary[file.path] = base64.b64encode(file.data).decode()
    return {"metadata": {"name": name}, "data": plain, **({"binaryData": binary} if binary else {})}


def _own_paths(volume: Json) -> set[str]:
    """Return the paths of a volume's files that come from no object: tokens and fields of the pod."""
    sources = (volume.get("projected") or {}).get("sources") or []
    downward = [volume.get("downwardAPI") or {}, *(source.get("downwardAPI") or {} for source in sources)]
    return {str(item["path"]) for part in downward for item in part.get("items") or []} | set(_token_paths(volume))


def _only_needed(request: PodRequest) -> PodRequest:
    """Return the request without objects that only its env needed: what is not sent cannot leak."""
    pod = request.pod
    sources = [source for v in pod.volumes for source in (v, *((v.get("projected") or {}).get("sources") or []))]
    named = {(reference.kind, reference.name) for source in sources for reference in of_source(source, "")}
    named |= {("Secret", str(secret.get("name"))) for secret in pod.spec.get("imagePullSecrets") or []}
    return replace(
        request,
        configmaps=tuple(item for item in request.configmaps if ("ConfigMap", item["metadata"]["name"]) in named),
        secrets=tuple(item for item in request.secrets if ("Secret", item["metadata"]["name"]) in named),
    )


def _without_managed(raw: Json) -> Json:
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return {**{key: value for key, value in raw.items() if key != "status"}, "metadata": metadata}
