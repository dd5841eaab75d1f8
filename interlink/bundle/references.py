"""Which ConfigMaps and Secrets a pod refers to, and the error for one that is not there."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from interlink.errors import InvalidPod
from interlink.model.pod import Container, Json, Pod, PodRequest


class MissingReference(InvalidPod):
    """A ConfigMap, Secret or key of one that the pod needs and that is not there; the text is the kubelet's.

    For a variable the kubelet keeps the container waiting with CreateContainerConfigError, for a volume
    it keeps the pod in ContainerCreating with the event FailedMount; both go on once the object appears.
    """

    def __init__(self, message: str, *, kind: str, name: str, key: str = "", field: str | None = None) -> None:
        self.kind, self.name, self.key = kind, name, key
        super().__init__(message, field=field)


@dataclass(frozen=True)
class Reference:
    """One mention of a ConfigMap or Secret; `key` is empty where the whole object is meant."""

    kind: str
    name: str
    key: str = ""
    optional: bool = False
    field: str = ""


def references(pod: Pod) -> tuple[Reference, ...]:
    """Return every mention of a ConfigMap or Secret in the pod, in the order of the manifest.

    Pull secrets count as optional: the kubelet pulls without those that do not exist.
    """
    return tuple(_references(pod))


def find(request: PodRequest, reference: Reference) -> Json | None:
    """Return the object referred to, None where an optional one is absent; else raise MissingReference."""
    found = request.configmap(reference.name) if reference.kind == "ConfigMap" else request.secret(reference.name)
    if found is None and not reference.optional:
        raise MissingReference(
            f'{reference.kind.lower()} "{reference.name}" not found',
            kind=reference.kind,
            name=reference.name,
            key=reference.key,
            field=reference.field,
        )
    return found


def secret_data(secret: Json, *, field: str) -> dict[str, bytes]:
    """Return a Secret's keys with their decoded bytes; InvalidPod where the base64 is broken."""
    return _decoded(secret, "data", "Secret", field)


def configmap_data(configmap: Json, *, field: str) -> dict[str, bytes]:
    """Return a ConfigMap's keys, text and binary, as bytes."""
    plain = {key: encoded(value, field=field) for key, value in (configmap.get("data") or {}).items()}
    return {**plain, **_decoded(configmap, "binaryData", "ConfigMap", field)}


def encoded(value: Any, *, field: str) -> bytes:
    """Return a string of a manifest as UTF-8; InvalidPod for half a surrogate pair, which JSON can spell."""
    try:
        return str(value).encode()
    except UnicodeEncodeError:
        raise InvalidPod("the text is not valid Unicode", field=field) from None


def _decoded(thing: Json, part: str, kind: str, field: str) -> dict[str, bytes]:
    data: Mapping[str, Any] = thing.get(part) or {}
    name = (thing.get("metadata") or {}).get("name")
    try:
        return {key: base64.b64decode(value or "", validate=True) for key, value in data.items()}
    except (binascii.Error, ValueError, TypeError):
        raise InvalidPod(f'{kind.lower()} "{name}": {part} is not base64', field=field) from None


def _references(pod: Pod) -> Iterator[Reference]:
    for container in pod.containers:
        yield from _of_container(container)
    for index, volume in enumerate(pod.volumes):
        yield from _of_volume(volume, f"spec.volumes[{index}]")
    for index, secret in enumerate(pod.spec.get("imagePullSecrets") or []):
        yield _reference("Secret", secret, f"spec.imagePullSecrets[{index}]", optional=True)


def _of_container(container: Container) -> Iterator[Reference]:
    for index, source in enumerate(container.env_from):
        yield from env_from(source, f"{container.path}.envFrom[{index}]")
    for index, variable in enumerate(container.env):
        yield from env_value(variable.get("valueFrom") or {}, f"{container.path}.env[{index}].valueFrom")


def env_from(source: Json, field: str) -> Iterator[Reference]:
    """Yield what one entry of envFrom refers to."""
    for part, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        if source.get(part) is not None:
            yield _reference(kind, source[part], f"{field}.{part}")


def env_value(source: Json, field: str) -> Iterator[Reference]:
    """Yield what one valueFrom refers to."""
    for part, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if source.get(part) is not None:
            yield _reference(kind, source[part], f"{field}.{part}")


def of_source(source: Json, field: str) -> Iterator[Reference]:
    """Yield what a volume or one source of a projected volume refers to."""
    for part, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if source.get(part) is not None:
            yield _reference(kind, source[part], f"{field}.{part}")


def _of_volume(volume: Json, field: str) -> Iterator[Reference]:
    yield from of_source(volume, field)
    for index, source in enumerate((volume.get("projected") or {}).get("sources") or []):
        yield from of_source(source, f"{field}.projected.sources[{index}]")


def _reference(kind: str, raw: Json, field: str, *, optional: bool = False) -> Reference:
    name = raw.get("name") or raw.get("secretName") or ""
    return Reference(kind, str(name), str(raw.get("key") or ""), optional or bool(raw.get("optional")), field)
