"""What a pod must be before anything is launched, and what a driver must be able to do for it.

`check(request, features)` raises InvalidPod (the manifest is wrong; the rules are the API server's, as
far as a driver relies on them) or Unsupported (this driver cannot honour a field), both naming the field.
`admit` does the same and returns the request without the fields that the inventory lets us ignore.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from interlink.bundle import fields, shapes
from interlink.errors import InvalidPod, Unsupported
from interlink.model import quantity
from interlink.model.pod import Container, Json, Pod, PodRequest

NAME_MAX = 253  # characters of a pod's name; a real kubelet does not end above some 180, ours shortens hostnames
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_UID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_INDEX = re.compile(r"\[[^]]*\]")
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_ID_MAX = (1 << 31) - 1
_PORT_MAX = 65535


@dataclass(frozen=True)
class Features:
    """What a driver can do: the features of `fields`, and what the host's variables allow.

    `hostpath_roots`: directories of the host that pods may mount (interlink_hostpath_allow). `resources`:
    names beside cpu and memory whose limits are honoured. `ignore`: fields to be ignored rather than
    refused (interlink_ignore), written `spec.containers.livenessProbe`, with or without `[0]` or `[*]`.
    """

    supports: frozenset[str] = fields.ENGINE
    hostpath_roots: tuple[str, ...] = ()
    resources: frozenset[str] = frozenset()
    ignore: tuple[str, ...] = ()


def check(request: PodRequest, features: Features) -> None:
    """Raise InvalidPod or Unsupported, naming the field, for a pod that cannot run; see the module."""
    admit(request, features)


def admit(request: PodRequest, features: Features) -> PodRequest:
    """Check the request and return it without the fields that are to be ignored."""
    raw = _supported(request.pod.raw, features)
    pod = Pod(raw)
    for rule in (_names, _containers, _numbers, _volumes):
        rule(pod)
    _mounted(pod)
    _allowed(pod, features)
    _objects(request)
    return dataclasses.replace(request, pod=pod)


def well_formed(raw: Json) -> tuple[shapes.Use, ...]:
    """Check the types of a manifest's fields and return what it uses; after that the views of `Pod` are safe."""
    if not isinstance(raw.get("spec"), Mapping):
        raise InvalidPod("is missing", field="spec")
    return tuple(shapes.uses(raw, fields.POD))


def _supported(raw: Json, features: Features) -> Json:
    """Return the manifest without ignored fields; refuse the first other one that is not supported."""
    ignored = {_plain(path) for path in features.ignore}
    for use in well_formed(raw):
        if use.feature and use.feature in features.supports:
            continue
        path = shapes.written(use.path)
        if not _is_ignored(_plain(path), ignored):
            raise Unsupported("is not supported here" if use.feature else "is an unknown field", field=path)
        raw = shapes.without(raw, use.path)
    return raw


def _plain(path: str) -> str:
    return _INDEX.sub("", path).removeprefix("spec.")


def _is_ignored(path: str, ignored: set[str]) -> bool:
    return any(path == item or path.startswith(f"{item}.") for item in ignored)


def _names(pod: Pod) -> None:
    _must(len(pod.name) <= NAME_MAX and _SUBDOMAIN.fullmatch(pod.name), "metadata.name", _says_name(pod.name))
    _must(_LABEL.fullmatch(pod.namespace), "metadata.namespace", f"{pod.namespace!r} is not a DNS label")
    _must(_UID.fullmatch(pod.uid), "metadata.uid", f"{pod.uid!r} is not a UID")
    for key in ("hostname", "subdomain"):
        value = pod.spec.get(key)
        _must(not value or _LABEL.fullmatch(value), f"spec.{key}", f"{value!r} is not a DNS label")


def _says_name(name: str) -> str:
    if len(name) > NAME_MAX:
        return f"is longer than {NAME_MAX} characters"
    return f"{name!r} is not a DNS name (small letters, digits, dashes and dots)" if name else "is missing"


def _containers(pod: Pod) -> None:
    _must(pod.spec.get("containers"), "spec.containers", "a pod needs at least one container")
    seen: set[str] = set()
    for container in pod.containers:
        _container(container)
        _must(container.name not in seen, f"{container.path}.name", f"two containers are named {container.name!r}")
        seen.add(container.name)


def _container(container: Container) -> None:
    path, name = container.path, container.name
    _must(_LABEL.fullmatch(name), f"{path}.name", f"{name!r} is not a DNS label" if name else "is missing")
    _must(container.image.strip(), f"{path}.image", "is missing")
    _must(container.image == container.image.strip(), f"{path}.image", "must not begin or end with a space")
    directory = str(container.raw.get("workingDir") or "")
    _must(not _CONTROL.search(directory), f"{path}.workingDir", "holds a control character")
    for index, variable in enumerate(container.env):
        where = f"{path}.env[{index}]"
        _must(variable.get("name"), f"{where}.name", "is missing")
        _must(not (variable.get("value") and variable.get("valueFrom")), where, "has both value and valueFrom")
        _must(len(variable.get("valueFrom") or {}) <= 1, f"{where}.valueFrom", "has more than one source")
    _amounts(container)


def _amounts(container: Container) -> None:
    resources = container.raw.get("resources") or {}
    for part in ("limits", "requests"):
        for name, value in (resources.get(part) or {}).items():
            where = f"{container.path}.resources.{part}.{name}"
            _quantity(value, where)
            whole = "/" not in name or quantity.parse(value).denominator == 1
            _must(whole, where, "must be a whole number")
    limits = resources.get("limits") or {}
    for name, value in (resources.get("requests") or {}).items():
        exceeds = limits.get(name) is not None and quantity.parse(value) > quantity.parse(limits[name])
        _must(not exceeds, f"{container.path}.resources.requests.{name}", "is more than the limit")


def _quantity(value: Any, field: str) -> None:
    try:
        _must(value is not None and quantity.parse(value) >= 0, field, "must be a quantity of 0 or more")
    except quantity.QuantityError as error:
        raise InvalidPod(str(error), field=field) from None


def _numbers(pod: Pod) -> None:
    grace, deadline = pod.spec.get("terminationGracePeriodSeconds"), pod.spec.get("activeDeadlineSeconds")
    _must(grace is None or 0 <= grace <= _ID_MAX, "spec.terminationGracePeriodSeconds", "must be 0 or more")
    _must(deadline is None or 1 <= deadline <= _ID_MAX, "spec.activeDeadlineSeconds", "must be 1 or more")
    for container in pod.containers:
        _ports(container)
    contexts = [("spec", pod.security), *((c.path, c.security) for c in pod.containers)]
    for path, context in contexts:
        ids = [(key, context.get(key)) for key in ("runAsUser", "runAsGroup", "fsGroup")]
        ids += [("supplementalGroups", number) for number in context.get("supplementalGroups") or []]
        for key, number in ids:
            _must(number is None or 0 <= number <= _ID_MAX, f"{path}.securityContext.{key}", "is no user or group id")


def _ports(container: Container) -> None:
    for index, port in enumerate(container.ports):
        where = f"{container.path}.ports[{index}]"
        _must(0 < (port.get("containerPort") or 0) <= _PORT_MAX, f"{where}.containerPort", "is no port number")
        _must(0 <= (port.get("hostPort") or 0) <= _PORT_MAX, f"{where}.hostPort", "is no port number")
        _must(not re.search(r"[^0-9a-fA-F.:]", port.get("hostIP") or ""), f"{where}.hostIP", "is no address")


def _volumes(pod: Pod) -> None:
    seen: set[str] = set()
    for index, volume in enumerate(pod.volumes):
        where, name = f"spec.volumes[{index}]", str(volume.get("name") or "")
        _must(_LABEL.fullmatch(name), f"{where}.name", f"{name!r} is not a DNS label" if name else "is missing")
        _must(name not in seen, f"{where}.name", f"two volumes are named {name!r}")
        seen.add(name)
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        _must(len(sources) == 1, where, "must have exactly one source")
        if sources[0] not in fields.VOLUME:  # one without content, which asked for nothing so far
            raise Unsupported("is not supported here", field=f"{where}.{sources[0]}")
        if (volume.get("emptyDir") or {}).get("sizeLimit") is not None:
            _quantity(volume["emptyDir"]["sizeLimit"], f"{where}.emptyDir.sizeLimit")


def _mounted(pod: Pod) -> None:
    volumes = {volume.get("name") for volume in pod.volumes}
    for container in pod.containers:
        targets: set[str] = set()
        for index, mount in enumerate(container.mounts):
            where, target = f"{container.path}.volumeMounts[{index}]", str(mount.get("mountPath") or "")
            _must(mount.get("name") in volumes, f"{where}.name", f"the pod has no volume {mount.get('name')!r}")
            _must(target, f"{where}.mountPath", "is missing")
            _must(":" not in target, f"{where}.mountPath", "must not contain ':'")
            _must(not _CONTROL.search(target), f"{where}.mountPath", "holds a control character")
            target = posixpath.normpath(target)
            _must(target not in targets, f"{where}.mountPath", f"{target!r} is mounted twice")
            targets.add(target)
            _sub_path(mount, where)


def _sub_path(mount: Json, where: str) -> None:
    for key in ("subPath", "subPathExpr"):
        path = str(mount.get(key) or "")
        inside = not path.startswith("/") and ".." not in path.split("/") and not _CONTROL.search(path)
        _must(inside, f"{where}.{key}", "must be a relative path without '..'")
    _must(not (mount.get("subPath") and mount.get("subPathExpr")), where, "has both subPath and subPathExpr")


def _allowed(pod: Pod, features: Features) -> None:
    """Refuse places of the host and resources that the inventory does not offer."""
    for index, volume in enumerate(pod.volumes):
        if volume.get("hostPath") is not None:
            _host_path(str(volume["hostPath"].get("path") or ""), f"spec.volumes[{index}].hostPath.path", features)
    for container in pod.containers:
        for field, name in _asked(container):
            if name not in features.resources and not _is_ignored(_plain(field), set(map(_plain, features.ignore))):
                raise Unsupported(f"the resource {name} is not offered here", field=field)


def _asked(container: Container) -> Iterator[tuple[str, str]]:
    """Yield the resources beside CPU and memory that the container asks for."""
    resources = container.raw.get("resources") or {}
    for part in ("limits", "requests"):
        accepted = {"cpu", "memory"} if part == "limits" else {"cpu", "memory", "ephemeral-storage"}
        for name, value in (resources.get(part) or {}).items():
            if name not in accepted and quantity.parse(value) != 0:
                yield f"{container.path}.resources.{part}.{name}", name


def _host_path(path: str, field: str, features: Features) -> None:
    _must(path.startswith("/") and ".." not in path.split("/"), field, f"{path!r} is not an absolute path")
    _must(not _CONTROL.search(path), field, "holds a control character")
    normal = posixpath.normpath(path)
    roots = [posixpath.normpath(root) for root in features.hostpath_roots]
    if not any(root in ("/", normal) or normal.startswith(f"{root}/") for root in roots):
        where = f"below {', '.join(roots)}" if roots else "nowhere (interlink_hostpath_allow is empty)"
        raise Unsupported(f"{path} may not be mounted; allowed: {where}", field=field)


def _objects(request: PodRequest) -> None:
    parts: tuple[tuple[str, tuple[Json, ...], Any], ...] = (
        ("configmaps", request.configmaps, fields.CONFIGMAP),
        ("secrets", request.secrets, fields.SECRET),
        ("projectedvolumesmaps", request.projected, fields.CONFIGMAP),
    )
    for name, objects, shape in parts:
        for index, thing in enumerate(objects):
            if not isinstance(thing, Mapping):
                raise InvalidPod("must be an object", field=f"{name}[{index}]")
            list(shapes.uses(thing, shape, (name, index)))


def _must(holds: object, field: str, message: str) -> None:
    if not holds:
        raise InvalidPod(message, field=field)
