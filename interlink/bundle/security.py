"""Users, groups, capabilities and privileges of a container, as flags of docker and podman."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interlink.bundle.text import HostValue, Text, text, texts
from interlink.model.pod import Container, Pod

# The user part of the image's USER ("0" if it has none); the script on the host inspects the image.
IMAGE_USER = HostValue("IL_USER")


@dataclass(frozen=True)
class Identity:
    """Who a container runs as. None for `user` is the image's USER without its group, as in Kubernetes.

    `non_root`: the image's user (if `user` is None) must be a number other than 0.
    """

    user: int | None
    group: int | None
    groups: tuple[int, ...]
    non_root: bool


def identity(pod: Pod, container: Container) -> Identity:
    """Merge the pod's and the container's security contexts; the container's own values win."""
    merged = _merged(pod, container)
    groups = [*(pod.security.get("supplementalGroups") or [])]
    if pod.security.get("fsGroup") is not None:
        groups.append(pod.security["fsGroup"])
    return Identity(
        user=_number(merged.get("runAsUser")),
        group=_number(merged.get("runAsGroup")),
        groups=tuple(dict.fromkeys(int(group) for group in groups)),
        non_root=bool(merged.get("runAsNonRoot")),
    )


def breaks_non_root(who: Identity) -> bool:
    """Say whether runAsUser: 0 contradicts runAsNonRoot (the kubelet's CreateContainerConfigError)."""
    return who.non_root and who.user == 0


def flags(pod: Pod, container: Container) -> tuple[Text, ...]:
    """Return the flags of `docker run` for all of it."""
    who = identity(pod, container)
    user = IMAGE_USER if who.user is None else str(who.user)
    group = "" if who.group is None else f":{who.group}"
    words = [text("--user"), text(user, group)]
    for number in who.groups:
        words += texts("--group-add", str(number))
    words += texts(*_privileges(container.security, _merged(pod, container)))
    return tuple(words)


def _privileges(own: Mapping[str, Any], merged: Mapping[str, Any]) -> list[str]:
    capabilities = own.get("capabilities") or {}
    words = []
    for action in ("drop", "add"):
        for name in capabilities.get(action) or []:
            words += [f"--cap-{action}", str(name)]
    if own.get("privileged"):
        words.append("--privileged")
    if own.get("readOnlyRootFilesystem"):
        words.append("--read-only")
    if own.get("allowPrivilegeEscalation") is False:
        words += ["--security-opt", "no-new-privileges"]
    if (merged.get("seccompProfile") or {}).get("type") == "Unconfined":
        words += ["--security-opt", "seccomp=unconfined"]
    return words


def _merged(pod: Pod, container: Container) -> dict[str, Any]:
    own = {key: value for key, value in container.security.items() if value is not None}
    return {**pod.security, **own}


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
