"""What a runtime's script needs to have an image ready: the reference as the runtime takes it, credentials. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping

from interlink.bundle import images, security
from interlink.bundle.site import Site
from interlink.bundle.tar import Entry, File
from interlink.errors import Unsupported
from interlink.model.pod import Container, PodRequest
from interlink.remote import shell

_DOCKER = "docker://"
_HUB = "registry-1.docker.io"  # where older versions of enroot look for Docker Hub


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
    yield _script(request, container, site, more, _cached("apptainer", site))
    for number, config in enumerate(_configs(request, wanted)):
        yield File(f"pull/{container.name}/{number}", _variables(config))


def enroot(request: PodRequest, container: Container, site: Site) -> Iterator[Entry]:
    """Yield the script that has the image ready for enroot, and the credentials that it may use, as it reads them."""
    wanted = reference(container.image, site.image_prefix)
    key = hashlib.sha256(f"enroot {wanted}".encode()).hexdigest()[:32]  # apptainer may use the same cache
    more = {"image": squash_reference(wanted), "key": key, "limit": str(site.image_cache_bytes)}
    yield _script(request, container, site, more, _cached("enroot", site))
    for number, config in enumerate(_configs(request, wanted)):
        yield File(f"pull/{container.name}/{number}", _netrc(config, _registry(more["image"])))


def squash_reference(wanted: str) -> str:
    """Return a complete reference as every enroot takes it: `#` behind the registry, and no tag before a digest.

    >>> squash_reference("docker://docker.io/library/busybox:latest"), squash_reference("/images/x.sqsh")
    ('docker://registry-1.docker.io#library/busybox:latest', '/images/x.sqsh')
    >>> squash_reference("docker://r:5000/a/b:1@sha256:0"), squash_reference("docker://nvcr.io#nvidia/pytorch:25.06")
    ('docker://r:5000#a/b@sha256:0', 'docker://nvcr.io#nvidia/pytorch:25.06')
    """
    if not wanted.startswith(_DOCKER) or "#" in wanted:
        return wanted
    host, _, path = wanted.removeprefix(_DOCKER).partition("/")
    name, at, digest = path.partition("@")
    if at and ":" in name:
        name = name.rpartition(":")[0]
    return f"{_DOCKER}{_HUB if host == images.HUB else host}#{name}{at}{digest}"


def podman(request: PodRequest, container: Container, site: Site) -> Iterator[Entry]:
    """Yield the script that has the image ready for podman, and the authfiles that it may use."""
    wanted = reference(container.image, site.image_prefix)
    user = security.identity(request.pod, container).user
    more = {"user": "" if user is None else str(user), "image": wanted.removeprefix(_DOCKER)}
    if wanted.startswith("/"):
        more |= {"image": f"docker-archive:{wanted}", "policy": "Always"}
    yield _script(request, container, site, more, '. "$lib/podman.sh"\n')
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
    return File(f"image/{container.name}", f'{shell.assignments(values)}lib=$1\n. "$lib/pulling.sh"\n{then}'.encode())


def _configs(request: PodRequest, wanted: str) -> tuple[bytes, ...]:
    return images.pull_configs(request, wanted.removeprefix(_DOCKER)) if wanted.startswith(_DOCKER) else ()


def _cached(runtime: str, site: Site) -> str:
    return f'cache={_cache(site.image_cache)}\n. "$lib/{runtime}.sh"\n. "$lib/cache.sh"\n'


def _cache(directory: str) -> str:
    """Return the cache's place as a word of a shell; by default beside all servers' bundles."""
    if not directory:
        return '"$(cd ../../.. && pwd)/images-$(uname -m)"'
    return f'{shell.path(directory)}/"$(uname -m)"'


def _login(config: bytes) -> tuple[str, str]:
    entry = next(iter(json.loads(config)["auths"].values()))
    user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return user, password


def _registry(uri: str) -> str:
    return uri.removeprefix(_DOCKER).partition("#")[0].partition(":")[0]


def _netrc(config: bytes, host: str) -> bytes:
    """Return a credential as enroot's .credentials: for the registry, and for whoever issues its tokens.

    Unsupported for white space: enroot takes a word that begins with a dollar there for a command.
    """
    user, password = _login(config)
    if any(character.isspace() for character in user + password) or not (user and password):
        message = "enroot takes no user or password that is empty or holds white space"
        raise Unsupported(message, field="spec.imagePullSecrets")
    if password.startswith("$") or '"' in password:
        escaped = password.replace("\\", "\\\\").replace('"', '\\"')
        password = f'"{escaped}"'
    return f"machine {host} login {user} password {password}\ndefault login {user} password {password}\n".encode()


def _variables(config: bytes) -> bytes:
    """Return a credential as the variables that every apptainer and singularity reads."""
    user, password = _login(config)
    values = [("USERNAME", user), ("PASSWORD", password)]
    lines = [
        f"export {tool}_DOCKER_{key}={shell.quote(v)}" for tool in ("APPTAINER", "SINGULARITY") for key, v in values
    ]
    return ("\n".join(lines) + "\n").encode()


def _is_complete(image: str) -> bool:
    return image.startswith("/") or "://" in image
