"""Pods that a benchmark runs, and the floor's way to run the same containers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlink.bundle import docker, text
from interlink.drivers.docker import layout
from interlink.model.host import Host
from interlink.model.pod import Pod, PodRequest
from tests.lab.hosts import TEST_IMAGE

NAMESPACE = "bench"
FLOOR = f"bench-floor-{os.getpid()}"  # a server id that no server of ours takes for its own


def pod(
    command: Sequence[str] = ("sleep", "3600"),
    *,
    policy: str = "Never",
    annotations: Mapping[str, str] | None = None,
) -> PodRequest:
    """Return a pod of one container; with `policy` Never it needs no pause container, else it has one."""
    uid = str(uuid.uuid4())
    raw: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"b-{uid[:8]}", "namespace": NAMESPACE, "uid": uid, "annotations": annotations or {}},
        "spec": {
            "restartPolicy": policy,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": TEST_IMAGE, "command": list(command)}],
        },
    }
    return PodRequest(Pod(raw))


def floor_commands(request: PodRequest, host: Host, directory: Path) -> list[list[str]]:
    """Return the commands that start the same containers by hand, with the flags that our driver gives.

    Only the labels' server id differs. `directory` becomes the place of the file for the termination message.
    """
    one, site = request.pod, layout.site(host, FLOOR, "docker")
    container = one.containers[0]
    name, here = f"il-{one.uid}-{container.name}-0", directory / one.uid
    pause = f"il-{one.uid}-_pause-0"
    message = here / "message" / f"{container.name}-0"
    message.parent.mkdir(parents=True)
    message.touch()
    message.chmod(0o666)
    values = _Values(IL_POD=str(here), IL_ATTEMPT="0", IL_SANDBOX=pause, IL_USER="0")
    words = {name: docker.launch(one, container, site, (), {}).words}
    if docker.needs_pause(one):
        words = {pause: docker.pause(one, site), **words}
    return [
        [
            "run",
            "-d",
            "--sig-proxy=false",
            "--pull",
            "never",
            "--name",
            name,
            *(text.literal(item, values) for item in items),
        ]
        for name, items in words.items()
    ]


class _Values(dict[text.HostValue, str]):
    """What the script on the host would have set."""

    def __init__(self, **values: str) -> None:
        super().__init__({text.HostValue(name): value for name, value in values.items()})
