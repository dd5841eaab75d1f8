"""The files of configMap, secret, projected and downwardAPI volumes: paths, modes and exact bytes.

Source of the rules: the volume plugins of the kubelet and its atomic writer, checked against recorded
pods. What a driver does with them::

    for name, files in volume_files(request).items():      # name of the volume -> tuple[VolumeFile, ...]
        entries = tar.under(f"volumes/{name}", layout(files, stamp))

`layout` is the kubelet's own: the files lie in a directory `stamp`, `..data` is a link to it and each
top-level name a link through `..data`, so that an update is one rename of `..data`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from interlink.bundle import downward
from interlink.bundle.references import (
    MissingReference,
    Reference,
    configmap_data,
    encoded,
    find,
    of_source,
    secret_data,
)
from interlink.bundle.tar import Directory, Entry, File, Link
from interlink.errors import InvalidPod, Unsupported
from interlink.model.driver import VolumeFile
from interlink.model.pod import Json, Pod, PodRequest

DEFAULT_MODE = 0o644
KINDS = ("configMap", "secret", "projected", "downwardAPI")

_PATH_MAX, _NAME_MAX = 4096, 255


def volume_files(
    request: PodRequest, *, allocatable: Mapping[str, str] | None = None
) -> dict[str, tuple[VolumeFile, ...]]:
    """Return the files of every volume of the four kinds, by the volume's name.

    Raises MissingReference for what is not there and not optional, InvalidPod for a path that leaves
    the volume, Unsupported for a token that nobody has sent.
    """
    return {
        str(volume.get("name")): _Volume(request, f"spec.volumes[{index}]", allocatable).files(volume)
        for index, volume in enumerate(request.pod.volumes)
        if any(volume.get(kind) is not None for kind in KINDS)
    }


def layout(files: Iterable[VolumeFile], stamp: str, *, group: bool = False) -> tuple[Entry, ...]:
    """Return a volume's entries with `..data`; `stamp` names the directory, `..2026_01_31_12_00_00.000000001`.

    With `group` the files shall belong to an fsGroup: its members may read all of them (the kubelet
    adds 0440; 0110 and the set-group-id bit to directories).
    """
    if not stamp.startswith("..") or "/" in stamp:
        raise ValueError(f"{stamp!r} cannot name a volume's hidden directory")
    folder_mode = 0o2755 if group else 0o755
    listed = sorted(files, key=lambda file: file.path)
    folders = sorted({parent for file in listed for parent in _folders(file.path)})
    tops = sorted({file.path.split("/")[0] for file in listed})
    return (
        Directory(stamp, folder_mode),
        *(Directory(f"{stamp}/{folder}", folder_mode) for folder in folders),
        *(File(f"{stamp}/{file.path}", file.data, _mode(file.mode, group=group)) for file in listed),
        Link("..data", stamp),
        *(Link(top, f"..data/{top}") for top in tops),
    )


def sub_path(files: Iterable[VolumeFile], path: str) -> Literal["file", "directory", "missing"]:
    """Say what a mount's subPath is in a volume of these files.

    The kubelet makes a missing one an empty directory of mode 0777, whatever was meant.
    """
    wanted = path.strip("/")
    for file in files:
        if file.path == wanted:
            return "file"
        if file.path.startswith(f"{wanted}/"):
            return "directory"
    return "missing" if wanted else "directory"


@dataclass(frozen=True)
class Ownership:
    """Who shall own a volume's files: None is root. `gid` is the pod's fsGroup."""

    uid: int | None = None
    gid: int | None = None


def ownership(pod: Pod, volume: Json) -> Ownership:
    """Return the owner of a volume's files as the kubelet sets it.

    The fsGroup owns all; a volume with a service account token belongs to the user that all containers
    run as, if there is one such user.
    """
    group = pod.security.get("fsGroup")
    return Ownership(_one_user(pod) if _has_token(volume) else None, None if group is None else int(group))


@dataclass(frozen=True)
class _Volume:
    """One volume of a request, to resolve it; `path` is its place in the manifest."""

    request: PodRequest
    path: str
    allocatable: Mapping[str, str] | None

    def files(self, volume: Json) -> tuple[VolumeFile, ...]:
        kind = next(kind for kind in KINDS if volume.get(kind) is not None)
        raw: Json = volume[kind]
        default = _int_mode(raw.get("defaultMode"), DEFAULT_MODE, f"{self.path}.{kind}.defaultMode")
        if kind == "projected":
            found = self._projected(volume, default)
        elif kind == "downwardAPI":
            found = self._downward(volume, raw, default)
        else:
            found = list(self._object(volume, self.path, default))
        return _checked({file.path: file for file in found}.values(), self.path)

    def _object(self, source: Json, path: str, default: int) -> Iterator[VolumeFile]:
        """Yield the files of one ConfigMap or Secret, all keys or the listed items."""
        reference = next(of_source(source, path))
        raw = source.get("configMap") or source.get("secret") or {}
        thing = find(self.request, reference)
        if thing is None:
            return
        read = configmap_data if reference.kind == "ConfigMap" else secret_data
        data = read(thing, field=reference.field)
        if not raw.get("items"):
            yield from (VolumeFile(key, default, value) for key, value in data.items())
        for index, item in enumerate(raw.get("items") or []):
            where = f"{reference.field}.items[{index}]"
            key = str(item.get("key") or "")
            if key in data:
                yield VolumeFile(
                    str(item.get("path") or ""), _int_mode(item.get("mode"), default, f"{where}.mode"), data[key]
                )
            elif not reference.optional:
                raise _missing_key(reference, key, where)

    def _downward(self, volume: Json, raw: Json, default: int) -> list[VolumeFile]:
        """Return the files of a downwardAPI volume; what the sender resolved is taken as it is."""
        sent = self._sent(volume)
        return [
            VolumeFile(file.path, file.mode, sent.get(file.path, file.data))
            for file in self._items(raw, f"{self.path}.downwardAPI", default, frozenset(sent))
        ]

    def _items(self, raw: Json, path: str, default: int, sent: frozenset[str]) -> Iterator[VolumeFile]:
        for index, item in enumerate(raw.get("items") or []):
            where = f"{path}.items[{index}]"
            name = str(item.get("path") or "")
            mode = _int_mode(item.get("mode"), default, f"{where}.mode")
            yield VolumeFile(name, mode, b"" if name in sent else self._field(item, where))

    def _field(self, item: Json, path: str) -> bytes:
        pod = self.request.pod
        if item.get("fieldRef") is not None:
            return encoded(downward.file_field(pod, item["fieldRef"], f"{path}.fieldRef"), field=path)
        reference, where = item.get("resourceFieldRef"), f"{path}.resourceFieldRef"
        if reference is None:
            raise InvalidPod("neither fieldRef nor resourceFieldRef is given", field=path)
        container = pod.container(str(reference.get("containerName") or ""))
        if container is None:
            raise InvalidPod("the pod has no such container", field=f"{where}.containerName")
        return downward.resource(pod, container, reference, self.allocatable, where).encode()

    def _projected(self, volume: Json, default: int) -> list[VolumeFile]:
        """Return a projected volume's files: what the sender resolved, and what can be resolved here.

        Where the sender has resolved the volume (a synthetic ConfigMap of its name), its contents count,
        and objects that it did not send besides are not missed.
        """
        sent = self._sent(volume)
        files = {path: VolumeFile(path, default, data) for path, data in sent.items()}
        for index, source in enumerate(volume["projected"].get("sources") or []):
            where = f"{self.path}.projected.sources[{index}]"
            for file in self._source(source, where, default, sent):
                files[file.path] = VolumeFile(file.path, file.mode, sent.get(file.path, file.data))
        return list(files.values())

    def _source(self, source: Json, path: str, default: int, sent: Mapping[str, bytes]) -> Iterator[VolumeFile]:
        if source.get("downwardAPI") is not None:
            yield from self._items(source["downwardAPI"], f"{path}.downwardAPI", default, frozenset(sent))
        elif source.get("serviceAccountToken") is not None:
            yield self._token(source["serviceAccountToken"], f"{path}.serviceAccountToken", default, sent)
        elif source.get("configMap") is not None or source.get("secret") is not None:
            yield from self._object_or_sent(source, path, default, sent)
        elif source:
            raise Unsupported("this kind of source is not supported", field=f"{path}.{min(source)}")

    def _object_or_sent(self, source: Json, path: str, default: int, sent: Mapping[str, bytes]) -> Iterator[VolumeFile]:
        try:
            yield from list(self._object(source, path, default))
        except MissingReference:
            if not sent:
                raise
            raw = source.get("configMap") or source.get("secret") or {}
            for item in raw.get("items") or []:
                name = str(item.get("path") or "")
                if name in sent:
                    yield VolumeFile(name, _int_mode(item.get("mode"), default, path), sent[name])

    def _token(self, raw: Json, path: str, default: int, sent: Mapping[str, bytes]) -> VolumeFile:
        name = str(raw.get("path") or "")
        if name not in sent:
            raise Unsupported("there is no service account token for this pod here", field=path)
        pod = self.request.pod
        owned = pod.security.get("fsGroup") is not None or _one_user(pod) is not None
        return VolumeFile(name, 0o600 if owned else default, sent[name])

    def _sent(self, volume: Json) -> dict[str, bytes]:
        projection = self.request.projection(str(volume.get("name")))
        return configmap_data(projection, field=self.path) if projection is not None else {}


def _missing_key(reference: Reference, key: str, field: str) -> MissingReference:
    words = (
        "configmap references non-existent config key"
        if reference.kind == "ConfigMap"
        else ("references non-existent secret key")
    )
    return MissingReference(f"{words}: {key}", kind=reference.kind, name=reference.name, key=key, field=field)


def _checked(files: Iterable[VolumeFile], field: str) -> tuple[VolumeFile, ...]:
    """Return the files, if each stays inside its volume and none is another's directory."""
    listed = tuple(files)
    paths = {file.path for file in listed}
    for file in listed:
        parts = file.path.split("/")
        if "\0" in file.path or file.path.startswith("..") or {"", ".", ".."} & set(parts):
            raise InvalidPod(f"{file.path!r} is not a path inside the volume", field=field)
        if len(file.path) > _PATH_MAX or any(len(part.encode()) > _NAME_MAX for part in parts):
            raise InvalidPod(f"the path {file.path[:40]!r}... is too long", field=field)
        if paths.intersection(_folders(file.path)):
            raise InvalidPod(f"{file.path!r} lies below another file of the volume", field=field)
    return listed


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _mode(mode: int, *, group: bool) -> int:
    return mode | 0o440 if group else mode


def _int_mode(value: object, default: int, field: str) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0o777:
        raise InvalidPod(f"{value!r} is no file mode between 0 and 0777 (decimal 511)", field=field)
    return value


def _has_token(volume: Json) -> bool:
    sources = (volume.get("projected") or {}).get("sources") or []
    return any(source.get("serviceAccountToken") is not None for source in sources)


def _one_user(pod: Pod) -> int | None:
    """Return the user that every container of the pod is told to run as, if there is exactly one."""
    users = {container.security.get("runAsUser", pod.security.get("runAsUser")) for container in pod.containers}
    user = users.pop() if len(users) == 1 else None
    return None if user is None else int(user)
