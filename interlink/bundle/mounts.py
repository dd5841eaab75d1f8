"""Volumes and mounts as arguments of docker and podman, and what of them the host must see to itself.

Places on the host, by the variables that its script sets: `$IL_POD` is the pod's bundle (absolute), in it
`vol/<volume>/` are the files of configMap, secret, projected and downwardAPI volumes, `none/<volume>/` is
the empty directory for a subPath that is not there. An emptyDir is the engine's volume `il-<uid>-<volume>`;
a subPath of one is bound from `$IL_VOLUME_<n>`, the engine's directory of the pod's n-th volume.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from interlink.bundle import files
from interlink.bundle.env import EnvVar, expand_strictly
from interlink.bundle.tar import Directory, Entry
from interlink.bundle.text import HostValue, Text, concat, literal, text
from interlink.errors import InvalidPod
from interlink.model import quantity
from interlink.model.driver import VolumeFile
from interlink.model.pod import Container, Json, Pod

POD_DIRECTORY = HostValue("IL_POD")

_SPECIAL = re.compile(r'[,"\r\n]|^ ')
_PAGE = 4096  # bytes; podman's tmpfs volumes take their size in pages only


@dataclass(frozen=True)
class HostPath:
    """A directory or file of the host that must be there, of this type, before the container starts."""

    volume: str
    path: str
    type: str
    field: str


@dataclass(frozen=True)
class SubPath:
    """A place in an emptyDir that a container mounts by itself.

    Missing, it is made as directories of mode 0777. A symbolic link on the way must be refused: a
    container could have set it to anywhere on the host.
    """

    volume: str
    variable: HostValue
    path: Text


@dataclass(frozen=True)
class Mount:
    """One mount of a container; `kind` is the engine's: bind or volume."""

    kind: str
    source: Text
    target: str
    readonly: bool


@dataclass(frozen=True)
class Scope:
    """What a container's mounts are worked out from."""

    pod: Pod
    files: Mapping[str, Sequence[VolumeFile]]
    env: tuple[EnvVar, ...] = ()


def volume_name(uid: str, volume: str) -> str:
    """Return the name of the engine's volume behind an emptyDir."""
    return f"il-{uid}-{volume}"


def create_volume(pod: Pod, volume: Json, engine: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the arguments after `docker volume create` for an emptyDir."""
    words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    empty = volume.get("emptyDir") or {}
    if empty.get("medium") == "Memory":
        words += ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", f"o={_tmpfs(pod, empty, engine)}"]
    return (*words, volume_name(pod.uid, str(volume.get("name"))))


def empty_dirs(pod: Pod, *, memory: bool | None = None) -> tuple[Json, ...]:
    """Return the pod's emptyDir volumes; with `memory` given only those in memory, or only the others."""
    found = [volume for volume in pod.volumes if volume.get("emptyDir") is not None]
    if memory is None:
        return tuple(found)
    return tuple(v for v in found if ((v.get("emptyDir") or {}).get("medium") == "Memory") is memory)


def host_paths(pod: Pod, container: Container) -> tuple[HostPath, ...]:
    """Return what of the host the container mounts."""
    mounted = {mount.get("name") for mount in container.mounts}
    return tuple(
        HostPath(
            str(volume.get("name")),
            posixpath.normpath(str(volume["hostPath"].get("path") or "")),
            str(volume["hostPath"].get("type") or ""),
            f"spec.volumes[{index}].hostPath",
        )
        for index, volume in enumerate(pod.volumes)
        if volume.get("hostPath") is not None and volume.get("name") in mounted
    )


def sub_paths(scope: Scope, container: Container) -> tuple[SubPath, ...]:
    """Return the places in emptyDirs that the container mounts by themselves."""
    found = []
    for mount, field in _listed(container):
        index, volume = _volume(scope.pod, mount, field)
        path = _sub_path(mount, scope.env, field)
        if volume.get("emptyDir") is not None and path:
            found.append(SubPath(str(volume.get("name")), _variable(index), path))
    return tuple(found)


def missing(scope: Scope) -> tuple[Entry, ...]:
    """Return the empty directories that the bundle must hold for subPaths of files that are not there."""
    names = {
        str(mount.get("name"))
        for container in scope.pod.containers
        for mount, field in _listed(container)
        if mount.get("name") in scope.files and _is_missing(scope, mount, field)
    }
    return tuple(Directory(f"none/{name}", 0o777) for name in sorted(names))


def mounts(scope: Scope, container: Container) -> tuple[Mount, ...]:
    """Return the container's mounts, those that lie in another after it."""
    found = [_mount(scope, mount, field) for mount, field in _listed(container)]
    return tuple(sorted(found, key=lambda mount: posixpath.normpath(mount.target).count("/")))


def flags(found: Iterable[Mount], engine: str) -> tuple[Text, ...]:
    """Return the mounts as `--mount` flags."""
    return tuple(word for mount in found for word in (text("--mount"), _option(mount, engine)))


def _listed(container: Container) -> Iterator[tuple[Json, str]]:
    for index, mount in enumerate(container.mounts):
        yield mount, f"{container.path}.volumeMounts[{index}]"


def _volume(pod: Pod, mount: Json, field: str) -> tuple[int, Json]:
    for index, volume in enumerate(pod.volumes):
        if volume.get("name") == mount.get("name"):
            return index, volume
    raise InvalidPod(f"the pod has no volume {mount.get('name')!r}", field=f"{field}.name")


def _variable(index: int) -> HostValue:
    return HostValue(f"IL_VOLUME_{index}")


def _sub_path(mount: Json, env: tuple[EnvVar, ...], field: str) -> Text:
    if mount.get("subPath"):
        path = text(str(mount["subPath"]))
    elif mount.get("subPathExpr"):
        values = {variable.name: variable.value for variable in env}
        path = expand_strictly(str(mount["subPathExpr"]), values, field=f"{field}.subPathExpr")
    else:
        return ()
    parts = "".join(part if isinstance(part, str) else "address" for part in path).split("/")
    if ".." in parts or parts[0] == "":
        raise InvalidPod("a subPath must be relative and without '..'", field=field)
    return path


def _is_missing(scope: Scope, mount: Json, field: str) -> bool:
    if not (mount.get("subPath") or mount.get("subPathExpr")):
        return False
    path = _file_path(_sub_path(mount, scope.env, field), field)
    return files.sub_path(scope.files[str(mount.get("name"))], path) == "missing"


def _file_path(path: Text, field: str) -> str:
    """Return a subPath in a volume of files, which must be known here."""
    try:
        return posixpath.normpath(literal(path))
    except KeyError:
        raise InvalidPod("an address cannot name a file of this volume", field=field) from None


def _mount(scope: Scope, mount: Json, field: str) -> Mount:
    index, volume = _volume(scope.pod, mount, field)
    name, target = str(volume.get("name")), posixpath.join("/", str(mount.get("mountPath") or ""))
    path = _sub_path(mount, scope.env, field)
    if name in scope.files:
        absent = bool(path) and _is_missing(scope, mount, field)
        source = text(POD_DIRECTORY, f"/none/{name}" if absent else f"/vol/{name}")
        return Mount("bind", source if absent else _joined(source, path), target, readonly=True)
    readonly = bool(mount.get("readOnly"))
    if volume.get("hostPath") is not None:
        root = text(posixpath.normpath(str(volume["hostPath"].get("path") or "")))
        return Mount("bind", _joined(root, path), target, readonly)
    if path:
        return Mount("bind", _joined(text(_variable(index)), path), target, readonly)
    return Mount("volume", text(volume_name(scope.pod.uid, name)), target, readonly)


def _joined(root: Text, path: Text) -> Text:
    return concat(root, text("/"), path) if path else root


def _option(mount: Mount, engine: str) -> Text:
    """Return the value of `--mount`: one CSV record, whose quotes both engines understand.

    podman knows `ro` only, and copies nothing into a volume that another container has had before
    (the pause container has them all first).
    """
    words = [text(f"type={mount.kind}"), concat(text("source="), mount.source), text(f"target={mount.target}")]
    if mount.kind == "volume" and engine == "docker":
        words.append(text("volume-nocopy"))
    if mount.readonly:
        words.append(text("ro" if engine == "podman" else "readonly"))
    parts = [part for item in words for part in (text(","), _csv(item))]
    return concat(*parts[1:])


def _csv(item: Text) -> Text:
    """Quote one field of a CSV record; what the host puts in may hold a comma too."""
    if all(isinstance(part, str) and not _SPECIAL.search(part) for part in item):
        return item
    inner = (part.replace('"', '""') if isinstance(part, str) else part for part in item)
    return text('"', *inner, '"')


def _tmpfs(pod: Pod, empty: Json, engine: str) -> str:
    """Return the mount options of a tmpfs; without a size it takes what the pod's containers may use at most."""
    options = []
    size = quantity.to_bytes(empty["sizeLimit"]) if empty.get("sizeLimit") else _memory_limit(pod)
    if size:
        options.append(f"nr_blocks={-(-size // _PAGE)}" if engine == "podman" else f"size={size}")
    group = pod.security.get("fsGroup")
    return ",".join([*options, "mode=0777"] if group is None else [*options, "mode=02777", f"gid={int(group)}"])


def _memory_limit(pod: Pod) -> int:
    limits = [container.limits.get("memory") for container in pod.containers]
    return sum(quantity.to_bytes(limit) for limit in limits if limit) if all(limits) else 0
