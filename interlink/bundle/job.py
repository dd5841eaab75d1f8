"""A pod as a bundle for `supervisor.sh`: what a shell host, and later a Slurm job, runs. Pure.

::

    plan              for the supervisor: uid, policy, grace, deadline, kind and name of the containers
    facts             for whoever lists the host: one line of JSON without secrets
    supervisor.sh     the supervisor itself
    start/NAME        what starts a container (bundle/runtimes.py)
    volumes/NAME/     configMap, secret, projected, downwardAPI and emptyDir volumes
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from interlink.bundle import process, runtimes
from interlink.bundle.env import arguments, environment
from interlink.bundle.files import layout, volume_files
from interlink.bundle.tar import Directory, Entry, File, under
from interlink.bundle.text import text, word
from interlink.model.pod import Container, Pod, PodRequest

FIRST = "..1"  # the directory of a volume's first contents; updates bring their own names


def compile_pod(request: PodRequest, ignore: tuple[str, ...] = ()) -> tuple[Entry, ...]:
    """Return the bundle of a pod for the runtime `process`; Unsupported or InvalidPod names a bad field."""
    request = process.admit(request, ignore)
    pod = request.pod
    return (
        File("plan", plan(pod).encode()),
        File("facts", facts(pod)),
        File("supervisor.sh", supervisor()),
        *(File(f"start/{c.name}", _start(request, c).encode()) for c in pod.containers),
        Directory("volumes", 0o700),
        *_volumes(request),
    )


def supervisor() -> bytes:
    """Return the script that runs a pod; it belongs to the package as data."""
    return resources.files("interlink.bundle").joinpath("supervisor.sh").read_bytes()


def plan(pod: Pod) -> str:
    """Return the assignments that the supervisor reads."""
    values: dict[str, Any] = {
        "uid": pod.uid,
        "policy": pod.restart_policy,
        "grace": pod.grace,
        "deadline": "" if pod.deadline is None else pod.deadline,
        "count": len(pod.containers),
    }
    for index, container in enumerate(pod.containers):
        values[f"kind_{index}"] = container.kind.value
        values[f"name_{index}"] = container.name
    return "".join(f"{name}={word(text(str(value)))}\n" for name, value in values.items())


def facts(pod: Pod) -> bytes:
    """Return what a listing needs beside the supervisor's own record, as one line."""
    known = {
        "uid": pod.uid,
        "namespace": pod.namespace,
        "name": pod.name,
        "policy": pod.restart_policy,
        "grace": pod.grace,
        "containers": [{"name": c.name, "kind": c.kind.value, "image": c.image} for c in pod.containers],
    }
    return json.dumps(known, separators=(",", ":")).encode() + b"\n"


def _start(request: PodRequest, container: Container) -> str:
    env = environment(request, container)
    command, args = arguments(container, env)
    return runtimes.process(runtimes.Launch(container, command + args, env))


def _volumes(request: PodRequest) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for name, files in volume_files(request).items():
        entries += [Directory(f"volumes/{name}"), *under(f"volumes/{name}", layout(files, FIRST))]
    for volume in request.pod.volumes:
        if volume.get("emptyDir") is not None:
            entries.append(Directory(f"volumes/{volume['name']}", 0o777))
    return tuple(entries)
