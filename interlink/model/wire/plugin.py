"""The contract between server and plugin: RetrievedPodData, the body of its create."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from interlink.errors import InvalidPod
from interlink.model.pod import Container, Json, PodRequest
from interlink.model.wire import contract, identity
from interlink.model.wire.kubernetes import CONFIG_MAP, SECRET
from interlink.model.wire.schema import anything, list_of, string, struct

_CONTAINER = struct(
    {
        "name": string,
        "configMaps": list_of(CONFIG_MAP),
        "projectedvolumemaps": list_of(CONFIG_MAP),
        "secrets": list_of(SECRET),
        "emptyDirs": anything,
    }
)
_RETRIEVED = struct({"pod": anything, "container": list_of(_CONTAINER), "jobConfig": anything, "jobScript": string})

# Go writes the whole structure even when nothing in it is set; plugins may index into it.
_JOB_CONFIG: Mapping[str, Any] = {
    "SingularityHubProxy": {"server": "", "master_token": "", "cache_validity_seconds": 0},
    "ApptainerOptions": {
        "executable": "",
        "fakeroot": False,
        "containall": False,
        "fuseMode": "",
        "noInit": False,
        "noHome": False,
        "noPrivs": False,
        "nvidiaSupport": False,
        "cleanenv": False,
        "unsquash": False,
    },
    "Volumes": {
        "scratch_area": "",
        "apptainer_cachedir": "",
        "image_dir": "",
        "additional_directories_in_path": None,
        "fuse_sleep_seconds": 0,
    },
}


def any_create(value: Any) -> tuple[PodRequest, bool]:
    """Read the create body of either contract, also in a list of one; the flag says that it was a list.

    The two are told apart by the key `container` (decisions.md 7). Callers of this contract send env
    resolved: the virtual kubelet has expanded its values.
    """
    listed = isinstance(value, list)
    if isinstance(value, list):
        if len(value) != 1:
            raise InvalidPod("must be one pod, or a list of one", field="the body")
        value = value[0]
    if isinstance(value, dict) and any(key.lower() == "container" for key in value):
        request = retrieved(value)
    else:
        request = contract.create_request(value)
    return replace(request, resolved=True), listed


def retrieved(value: Any) -> PodRequest:
    """Read RetrievedPodData; what several containers share is there once."""
    fields = _RETRIEVED(value, "")
    pod = identity.runnable(fields.get("pod"), "")
    containers = fields.get("container", [])
    return PodRequest(
        pod,
        configmaps=_gathered(containers, "configMaps"),
        secrets=_gathered(containers, "secrets"),
        projected=_gathered(containers, "projectedvolumemaps"),
        job_script=fields.get("jobScript", ""),
    )


def retrieved_json(request: PodRequest) -> dict[str, Any]:
    """Write RetrievedPodData: each container with the objects that its mounts refer to, inits first."""
    script = {"jobScript": request.job_script} if request.job_script else {}
    return {
        "pod": request.pod.raw,
        "container": [_container_json(request, container) for container in request.pod.containers],
        "jobConfig": _JOB_CONFIG,
        **script,
    }


def _container_json(request: PodRequest, container: Container) -> dict[str, Any]:
    found: dict[str, list[Json]] = {"configMaps": [], "projectedvolumemaps": [], "secrets": []}
    volumes = {volume.get("name"): volume for volume in request.pod.volumes}
    for mount in container.mounts:
        for key, item in _referred(request, volumes.get(mount.get("name"), {})):
            found[key].append(item)
    return {"name": container.name, **{key: items or None for key, items in found.items()}, "emptyDirs": None}


def _referred(request: PodRequest, volume: Json) -> Iterable[tuple[str, Json]]:
    if volume.get("configMap"):
        yield from _some("configMaps", request.configmap(volume["configMap"].get("name", "")))
    elif volume.get("secret"):
        yield from _some("secrets", request.secret(volume["secret"].get("secretName", "")))
    elif volume.get("projected") or volume.get("downwardAPI"):
        yield from _some("projectedvolumemaps", request.projection(volume.get("name", "")))


def _some(key: str, item: Json | None) -> Iterable[tuple[str, Json]]:
    return [] if item is None else [(key, item)]


def _gathered(containers: Iterable[Json], key: str) -> tuple[Json, ...]:
    by_name: dict[str, Json] = {}
    for container in containers:
        for item in container.get(key, ()):
            by_name.setdefault(str((item.get("metadata") or {}).get("name") or ""), item)
    return tuple(by_name.values())
