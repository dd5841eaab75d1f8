"""Documents of a manifest, as a user of `kubectl apply` writes them, to pods with all that they refer to.

There is no cluster behind them: a reference to a ConfigMap or Secret that is not among the documents can
never be fulfilled and raises MissingReference at once. Service account tokens do not exist; a pod that
mounts one explicitly is refused by the driver, by name.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlink.bundle import checks
from interlink.bundle.references import encoded, find, references, secret_data
from interlink.errors import InvalidPod
from interlink.model.pod import Json, Pod, PodRequest

KINDS = ("Pod", "ConfigMap", "Secret")

_CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "ReplicationController")
_SUFFIX = 5  # characters that a generated name gets, as many as the API server's


def requests(documents: Sequence[Any], new_uid: Callable[[], str]) -> tuple[PodRequest, ...]:
    """Return one request per pod, in the order of the documents; each pod gets a UID from `new_uid`.

    A UID or status in the file is some other pod's, and is not taken over. Raises InvalidPod for a
    document that is no object of the three kinds (or a list of them), for two objects of one kind and
    name, and where there is no pod at all.
    """
    found = _Objects()
    for where, document in _flat(documents):
        found.add(where, document)
    if not found.pods:
        raise InvalidPod("the manifest holds no Pod")
    return tuple(_request(_started(pod, new_uid()), found) for pod in found.pods)


@dataclass
class _Objects:
    """The objects of a manifest, by kind, namespace and name."""

    pods: list[Json] = field(default_factory=list)
    others: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    seen: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, where: str, document: Json) -> None:
        kind, metadata = str(document["kind"]), document.get("metadata") or {}
        if not isinstance(metadata, Mapping) or not (metadata.get("name") or metadata.get("generateName")):
            raise InvalidPod(f"{where}: the {kind} has no name", field="metadata.name")
        key = (kind, str(metadata.get("namespace") or "default"), str(metadata.get("name") or ""))
        if key[2] and key in self.seen:
            raise InvalidPod(f"{where}: {kind} {key[2]!r} is in {self.seen[key]} already", field="metadata.name")
        self.seen[key] = where
        if kind == "Pod":
            self.pods.append(document)
        else:
            self.others[key] = _secret(document) if kind == "Secret" else document

    def of(self, kind: str, namespace: str) -> tuple[Json, ...]:
        return tuple(thing for key, thing in self.others.items() if key[:2] == (kind, namespace))


def _flat(documents: Sequence[Any]) -> Iterator[tuple[str, Json]]:
    """Yield the objects with the words that name their place; lists are opened, empty documents passed over."""
    for number, document in enumerate(documents, 1):
        if document is not None:
            yield from _opened(f"document {number}", document)


def _opened(where: str, document: Any) -> Iterator[tuple[str, Json]]:
    kind = document.get("kind") if isinstance(document, Mapping) else None
    if not isinstance(kind, str) or not kind:
        raise InvalidPod(f"{where} is no Kubernetes object: it has no kind")
    if kind.endswith("List") and kind.removesuffix("List") in ("", *KINDS):
        items = document.get("items") or []
        if not isinstance(items, list):
            raise InvalidPod(f"{where}: items must be a list", field="items")
        for index, item in enumerate(items):
            known = {"kind": kind.removesuffix("List")} if kind != "List" and isinstance(item, Mapping) else {}
            yield from _opened(f"{where}, item {index + 1}", {**known, **item} if known else item)
    elif kind in KINDS:
        yield where, document
    else:
        raise InvalidPod(f"{where}: {kind} is not supported; {_advice(kind)}", field="kind")


def _advice(kind: str) -> str:
    if kind in _CONTROLLERS:
        return f"a {kind} is a cluster's business: write its pod template as a Pod, or apply it to a cluster"
    return f"a manifest may hold {', '.join(KINDS)} and lists of them"


def _secret(document: Json) -> Json:
    """Return a Secret with its stringData in its data, as the API server stores it."""
    plain = document.get("stringData") or {}
    if not isinstance(plain, Mapping) or not isinstance(document.get("data") or {}, Mapping):
        raise InvalidPod("data and stringData must be objects", field="stringData")
    added = {key: base64.b64encode(_bytes(key, value)).decode() for key, value in plain.items()}
    kept = {key: value for key, value in document.items() if key != "stringData"}
    secret = {**kept, "data": {**(document.get("data") or {}), **added}}
    secret_data(secret, field="data")
    return secret


def _bytes(key: Any, value: Any) -> bytes:
    if not isinstance(value, str):
        raise InvalidPod("must be a string; put it in quotes", field=f"stringData.{key}")
    return encoded(value, field=f"stringData.{key}")


def _started(document: Json, uid: str) -> Pod:
    """Return the pod as a cluster would begin it: with a UID, a name and a namespace, without a status."""
    checks.well_formed(document)
    metadata = document.get("metadata") or {}
    name = metadata.get("name") or f"{metadata.get('generateName')}{uid.replace('-', '')[:_SUFFIX]}"
    begun = {**metadata, "uid": uid, "name": name, "namespace": metadata.get("namespace") or "default"}
    return Pod({**{key: value for key, value in document.items() if key != "status"}, "metadata": begun})


def _request(pod: Pod, found: _Objects) -> PodRequest:
    """Return the pod with those of the objects that it mentions, all of the others being none of its business."""
    everything = PodRequest(pod, found.of("ConfigMap", pod.namespace), found.of("Secret", pod.namespace))
    mentioned: dict[tuple[str, str], Json] = {}
    for reference in references(pod):
        thing = find(everything, reference)
        if thing is not None:
            mentioned[reference.kind, reference.name] = thing
    configmaps = tuple(thing for (kind, _), thing in mentioned.items() if kind == "ConfigMap")
    return PodRequest(pod, configmaps, tuple(thing for (kind, _), thing in mentioned.items() if kind == "Secret"))
