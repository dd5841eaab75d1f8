"""Image references, and the credentials that pull them; pure.

Source of the matching rules: the kubelet's `credentialprovider` (a registry's key may carry a path and
`*` for a part of the host name; the longest path wins).
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from interlink.bundle.references import secret_data
from interlink.errors import InvalidPod
from interlink.model.pod import Json, PodRequest

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"  # what engines look for in a configuration file

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}(?::[0-9]+)?/)?{_PART}(?:/{_PART})*)"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?P<digest>@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,})?"
)
_HUB_NAMES = (HUB, "index.docker.io", "registry-1.docker.io")


def is_valid(image: str) -> bool:
    """Say whether this can be an image reference (else the container waits with InvalidImageName)."""
    match = _REFERENCE.fullmatch(image)
    return match is not None and len(match["name"]) <= 255 and not re.fullmatch(r"[0-9a-f]{64}", image)


def normalized(image: str) -> str:
    """Return the reference with its registry and tag, as every engine understands it alike.

    >>> normalized("busybox"), normalized("a/b@sha256:" + "0" * 64)[:16], normalized("r:5000/x:1")
    ('docker.io/library/busybox:latest', 'docker.io/a/b@sh', 'r:5000/x:1')
    """
    match = _REFERENCE.fullmatch(image)
    if match is None:
        return image
    host, path = _split(match["name"])
    tag = match["tag"] or ("" if match["digest"] else ":latest")
    return f"{host}/{path}{tag}{match['digest'] or ''}"


@dataclass(frozen=True)
class Credential:
    """One entry of a pull secret."""

    registry: str  # as it is written there
    auth: str = field(repr=False)  # base64 of user:password


def pull_configs(request: PodRequest, image: str) -> tuple[bytes, ...]:
    """Return the configuration files with which to try to pull the image, best first; none = anonymously.

    Each is a `config.json` for `docker --config DIR` and an authfile for podman. A pull secret that
    does not exist is passed over, as the kubelet does; a broken one raises InvalidPod.
    """
    host, path = _split(normalized(image).partition("@")[0].rpartition(":")[0] or image)
    found = [item for item in _credentials(request) if _matches(item.registry, host, path)]
    found.sort(key=lambda item: -len(_bare(item.registry)))
    key = HUB_KEY if host == HUB else host
    files = (json.dumps({"auths": {key: {"auth": item.auth}}}).encode() for item in found)
    return tuple(dict.fromkeys(files))


def pull_arguments(image: str, engine: str, config: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return an engine's global flags and the pull command; `config` is a directory (docker) or file (podman)."""
    if engine == "podman":
        authfile = ("--authfile", config) if config else ()
        return (), ("pull", "--quiet", *authfile, normalized(image))
    return (("--config", config) if config else ()), ("pull", "--quiet", image)


def _split(name: str) -> tuple[str, str]:
    """Divide a name into registry and path; a first part without dot, port or capital is the Hub's."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return (HUB, rest) if first in _HUB_NAMES else (first, rest)
    return HUB, name if slash else f"library/{name}"


def _credentials(request: PodRequest) -> Iterator[Credential]:
    for index, mention in enumerate(request.pod.spec.get("imagePullSecrets") or []):
        secret = request.secret(str(mention.get("name") or ""))
        if secret is not None:
            yield from _entries(secret, f"spec.imagePullSecrets[{index}]")


def _entries(secret: Json, path: str) -> Iterator[Credential]:
    data = secret_data(secret, field=path)
    try:
        if ".dockerconfigjson" in data:
            auths: Any = json.loads(data[".dockerconfigjson"]).get("auths") or {}
        else:
            auths = json.loads(data.get(".dockercfg") or b"{}")
        for registry, entry in auths.items():
            yield Credential(registry, _auth(entry))
    except (ValueError, AttributeError, TypeError, KeyError):
        name = (secret.get("metadata") or {}).get("name")
        raise InvalidPod(f'secret "{name}" holds no valid docker configuration', field=path) from None


def _auth(entry: Json) -> str:
    if entry.get("auth"):
        auth = str(entry["auth"])
        if b":" not in base64.b64decode(auth, validate=True):
            raise binascii.Error("no colon")
        return auth
    return base64.b64encode(f"{entry['username']}:{entry['password']}".encode()).decode()


def _bare(registry: str) -> str:
    """Return a registry's key without its scheme, API version and slash at the end."""
    bare = re.sub(r"^https?://", "", registry).rstrip("/")
    return re.sub(r"/v[12]$", "", bare)


def _matches(registry: str, host: str, path: str) -> bool:
    wanted_host, _, wanted_path = _bare(registry).partition("/")
    wanted_host = HUB if wanted_host in _HUB_NAMES else wanted_host
    parts, wanted = host.split("."), wanted_host.split(".")
    if len(parts) != len(wanted) or not all(map(fnmatch.fnmatchcase, parts, wanted)):
        return False
    return not wanted_path or path == wanted_path or path.startswith(f"{wanted_path}/")
