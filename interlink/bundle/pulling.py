"""What a runtime's script needs to have an image ready: the reference as the runtime takes it, credentials. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping

from interlink.bundle import images, security
from interlink.bundle.site import Site
from interlink.bundle.tar import Entry, File
from interlink.model.pod import Container, PodRequest
from interlink.remote import shell

_DOCKER = "docker://"


def reference(image: str, prefix: str = "") -> str:
    """Return what the runtime is given: a path or a reference with a scheme.

    >>> reference("busybox"), reference("/x/y.sif"), reference("oras://r/x:1")
    ('docker://docker.io/library/busybox:latest', '/x/y.sif', 'oras://r/x:1')
    >>> reference("lib/tool:1", "/cvmfs/unpacked/"), reference("a:1", "registry.example.org/")
    ('/cvmfs/unpacked/lib/tool:1', 'docker://registry.example.org/a:1')
    """
    whole = image if _is_complete(image) else prefix + image
    return whole if _is_complete(whole) else _DOCKER + images.normalized(whole)


def is_valid(wanted: str) -> bool:
    """Say whether a reference can name an image; what is no registry's is for the runtime to judge."""
    return images.is_valid(wanted.removeprefix(_DOCKER)) if wanted.startswith(_DOCKER) else True


def apptainer(request: PodRequest, container: Container, site: Site) -> Iterator[Entry]:
    """Yield the script that has the image ready for apptainer, and the credentials that it may use."""
    wanted = reference(container.image, site.image_prefix)
    more = {"key": hashlib.sha256(wanted.encode()).hexdigest()[:32], "limit": str(site.image_cache_bytes)}
    yield _script(request, container, site, more, f'cache={_cache(site.image_cache)}\n. "./apptainer.sh"\n')
    for number, config in enumerate(_configs(request, wanted)):
        yield File(f"pull/{container.name}/{number}", _variables(config))


def podman(request: PodRequest, container: Container, site: Site) -> Iterator[Entry]:
    """Yield the script that has the image ready for podman, and the authfiles that it may use."""
    wanted = reference(container.image, site.image_prefix)
    user = security.identity(request.pod, container).user
    more = {"user": "" if user is None else str(user), "image": wanted.removeprefix(_DOCKER)}
    if wanted.startswith("/"):
        more |= {"image": f"docker-archive:{wanted}", "policy": "Always"}
    yield _script(request, container, site, more, '. "./podman.sh"\n')
    for number, config in enumerate(_configs(request, wanted)):
        yield File(f"pull/{container.name}/{number}", config)


def _script(request: PodRequest, container: Container, site: Site, more: Mapping[str, str], then: str) -> File:
    wanted = reference(container.image, site.image_prefix)
    values = {
        "name": container.name,
        "image": wanted,
        "shown": container.image,
        "policy": container.pull_policy,
        "valid": "yes" if is_valid(wanted) else "",
        "bare": "" if container.command or container.args else "yes",
        "nonroot": "yes" if security.identity(request.pod, container).non_root else "",
        "runtime": site.runtime,
        "program": site.program or site.runtime,
        **more,
    }
    return File(f"image/{container.name}", f'{shell.assignments(values)}. "./pulling.sh"\n{then}'.encode())


def _configs(request: PodRequest, wanted: str) -> tuple[bytes, ...]:
    return images.pull_configs(request, wanted.removeprefix(_DOCKER)) if wanted.startswith(_DOCKER) else ()


def _cache(directory: str) -> str:
    """Return the cache's place as a word of a shell; by default beside all servers' bundles."""
    if not directory:
        return '"$(cd ../../.. && pwd)/images-$(uname -m)"'
    return f'{shell.path(directory)}/"$(uname -m)"'


def _variables(config: bytes) -> bytes:
    """Return a credential as the variables that every apptainer and singularity reads."""
    entry = next(iter(json.loads(config)["auths"].values()))
    user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    values = [("USERNAME", user), ("PASSWORD", password)]
    lines = [
        f"export {tool}_DOCKER_{key}={shell.quote(v)}" for tool in ("APPTAINER", "SINGULARITY") for key, v in values
    ]
    return ("\n".join(lines) + "\n").encode()


def _is_complete(image: str) -> bool:
    return image.startswith("/") or "://" in image
