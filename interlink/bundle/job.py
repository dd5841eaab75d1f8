"""A pod as a bundle for `supervisor.sh`: what a shell host or a Slurm job runs. Pure.

::

    plan              for the supervisor: uid, policy, grace, deadline, kind and name of the containers, ...
    facts             for whoever lists the host: one line of JSON without secrets
    *.sh, oci.awk     the supervisor itself; or `lib`, the directory where a host has it for all pods (bundle/parcel.py)
    start/NAME        what starts a container (bundle/runtimes.py)
    image/NAME        what has its image ready, if the runtime runs images; pull/NAME/N, credentials for that
    volumes/NAME/     configMap, secret, projected, downwardAPI and emptyDir volumes
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources as package
from itertools import chain
from typing import Any

from interlink.bundle import mounts, network, resources, runtimes
from interlink.bundle.env import arguments, environment
from interlink.bundle.files import layout, volume_files
from interlink.bundle.site import Site
from interlink.bundle.starting import Launch
from interlink.bundle.tar import Directory, Entry, File, under
from interlink.bundle.text import text, word
from interlink.model.pod import Container, Pod, PodRequest

FIRST = "..2000_01_01_00_00_00.0"  # directory of a volume's first contents, as a kubelet names it; updates bring theirs
SCRIPTS = ("supervisor.sh", "containers.sh", "records.sh")


def compile_pod(request: PodRequest, site: Site | None = None) -> tuple[Entry, ...]:
    """Return the bundle of a pod for a site (by default, any host's processes).

    InvalidPod or Unsupported names a field that is wrong, or that the site's runtime cannot honour.
    """
    site = site or Site()
    request = runtimes.admit(request, site)
    pod = request.pod
    return (
        File("plan", plan(pod, site).encode()),
        File("facts", facts(pod, site.runtime)),
        *(File(name, source(name)) for name in (*SCRIPTS, *runtimes.runtime(site).scripts)),
        *(Directory(name, 0o700) for name in ("volumes", "logs", "work")),
        *_containers(request, site),
        *_volumes(request),
    )


@cache
def source(name: str) -> bytes:
    """Return one of the scripts that run a pod; they belong to the package as data."""
    return package.files("interlink.bundle").joinpath(name).read_bytes()


def plan(pod: Pod, site: Site | None = None) -> str:
    """Return the assignments that the supervisor reads."""
    values: dict[str, Any] = {
        "uid": pod.uid,
        "policy": pod.restart_policy,
        "grace": pod.grace,
        "deadline": "" if pod.deadline is None else pod.deadline,
        "term": runtimes.runtime(site or Site()).term,
        "memory": " ".join(str(volume["name"]) for volume in mounts.empty_dirs(pod, memory=True)),
        "count": len(pod.containers),
    }
    for index, container in enumerate(pod.containers):
        values[f"kind_{index}"] = container.kind.value
        values[f"name_{index}"] = container.name
        values[f"gpus_{index}"] = resources.gpu_count(container)
        values[f"stop_{index}"] = _stop_signal(container)
        values[f"fallback_{index}"] = "yes" if container.quotes_log else ""
    return "".join(f"{name}={word(text(str(value)))}\n" for name, value in values.items())


def facts(pod: Pod, runtime: str) -> bytes:
    """Return what a listing needs beside the supervisor's own record, as one line."""
    known = {
        "uid": pod.uid,
        "namespace": pod.namespace,
        "name": pod.name,
        "policy": pod.restart_policy,
        "grace": pod.grace,
        "runtime": runtime,
        "containers": [{"name": c.name, "kind": c.kind.value, "image": c.image} for c in pod.containers],
    }
    return json.dumps(known, separators=(",", ":")).encode() + b"\n"


def _stop_signal(container: Container) -> str:
    signal = (container.raw.get("lifecycle") or {}).get("stopSignal")
    return str(signal).removeprefix("SIG") if signal else ""


def _containers(request: PodRequest, site: Site) -> Iterator[Entry]:
    runtime, files = runtimes.runtime(site), volume_files(request)
    environments = {c.name: environment(request, c) for c in request.pod.containers}
    for container in request.pod.containers:
        env = environments[container.name]
        command, args = arguments(container, env)
        yield from runtime.entries(Launch(request.pod, container, command, args, env, files, site))
        if runtime.image:
            yield from runtime.image(request, container, site)
    yield from mounts.missing(mounts.Scope(request.pod, files, tuple(chain.from_iterable(environments.values()))))
    resolver = network.resolv_conf(request.pod, site.dns) if runtime.image else None
    if resolver is not None:
        yield File("resolv.conf", resolver, 0o644)


def _volumes(request: PodRequest) -> Iterable[Entry]:
    for name, files in volume_files(request).items():
        yield Directory(f"volumes/{name}")
        yield from under(f"volumes/{name}", layout(files, FIRST))
    for volume in mounts.empty_dirs(request.pod, memory=False):
        yield Directory(f"volumes/{volume['name']}", 0o777)
