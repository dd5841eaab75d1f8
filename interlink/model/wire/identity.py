"""Which pod a request means, and whether it is one that could run at all."""

from __future__ import annotations

import re
from types import NoneType
from typing import Any

from interlink.errors import InvalidPod
from interlink.model.pod import Pod
from interlink.model.wire.kubernetes import POD

# A UID names a directory and a label on the host, so it is held to what both can carry.
_UID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)


def is_uid(text: str) -> bool:
    """Say whether a text can be a pod's UID: a UUID as a rule, always safe as a name of files and containers."""
    return _UID.fullmatch(text) is not None


def is_label(text: str) -> bool:
    """Say whether a text is a DNS label (RFC 1123), as namespaces and containers are named.

    >>> is_label("main"), is_label("Main"), is_label("")
    (True, False, False)
    """
    return _LABEL.fullmatch(text) is not None


def identified(value: Any, path: str) -> Pod:
    """Return the pod of a request that may hold little beside its identity, as /delete and /status send it."""
    pod = Pod(POD(value, path))
    here = f"{path}." if path else ""
    _require(pod.uid, _UID, f"{here}metadata.uid", "letters, digits, '.', '_' and '-', at most 63")
    if pod.name and len(pod.name) > 253:
        raise InvalidPod("is longer than 253 characters", field=f"{here}metadata.name")
    if not is_label(pod.namespace):
        raise InvalidPod("must be a DNS label", field=f"{here}metadata.namespace")
    return pod


def runnable(value: Any, path: str) -> Pod:
    """Return the pod of a create: identified, named, and with at least one named container."""
    if not isinstance(value, (dict, NoneType)):
        raise InvalidPod("must be an object", field=path or "pod")
    pod = identified(value, path)
    _require(pod.name, _SUBDOMAIN, "metadata.name", "a DNS subdomain, at most 253 characters")
    if not pod.spec.get("containers"):
        raise InvalidPod("is missing: a pod needs at least one container", field="spec.containers")
    seen: set[str] = set()
    for container in pod.containers:
        field = f"{container.path}.name"
        _require(container.name, _LABEL, field, "a DNS label, at most 63 characters")
        if container.name in seen:
            raise InvalidPod(f"is used twice: {container.name}", field=field)
        seen.add(container.name)
    return pod


def _require(text: str, pattern: re.Pattern[str], field: str, wanted: str) -> None:
    if not text:
        raise InvalidPod("is missing", field=field)
    if not pattern.fullmatch(text):
        raise InvalidPod(f"must be {wanted}", field=field)
