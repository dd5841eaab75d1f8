"""What the runtime `process` can honour of a pod; everything else is refused by its name. Pure.

A process has no image, no isolation and no mounts: it sees the host. So what asks for walls is refused
(security contexts, mounts, host names), and what only describes is accepted: images and their pull
policy, ports, requests and limits of CPU and memory, which serve placement and are not enforced.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from interlink.bundle import checks
from interlink.errors import Unsupported
from interlink.model.pod import Container, PodRequest

# Beside the volumes (at $IL_VOLUMES/NAME): what a process shares with its host anyway.
SUPPORTS = frozenset(
    {
        *("configMap", "secret", "projected", "downwardAPI"),
        *("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostPort", "workingDir"),
    }
)


def admit(request: PodRequest, ignore: Collection[str] = ()) -> PodRequest:
    """Return the request without the fields that are to be ignored (interlink_ignore).

    Raises InvalidPod for what no kubelet would run, Unsupported for what a process cannot honour.
    """
    admitted = checks.admit(request, checks.Features(supports=SUPPORTS, ignore=tuple(ignore)))
    ignored = {_plain(path) for path in ignore}
    for container in admitted.pod.containers:
        if not {_plain(f"{container.path}.volumeMounts"), "volumeMounts"} & ignored:
            _refuse_mounts(container)
        _check_ports(container)
    return admitted


def _plain(path: str) -> str:
    return re.sub(r"\[[^]]*\]", "", path).removeprefix("spec.")


def _refuse_mounts(container: Container) -> None:
    for index, mount in enumerate(container.mounts):
        raise Unsupported(
            f"the runtime process cannot mount; the volume is at $IL_VOLUMES/{mount.get('name')}",
            field=f"{container.path}.volumeMounts[{index}]",
        )


def _check_ports(container: Container) -> None:
    """A process listens on its host's own ports, so nothing can be published under another number."""
    for index, port in enumerate(container.ports):
        if port.get("hostPort") and port["hostPort"] != port.get("containerPort"):
            raise Unsupported(
                "the runtime process cannot publish a port under another number",
                field=f"{container.path}.ports[{index}].hostPort",
            )
