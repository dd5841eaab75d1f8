"""What annotations of the existing plugin say about images and their runtime, taken into the site of a pod. Pure."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import replace

from interlink.bundle.site import Site
from interlink.bundle.slurmjob import annotation
from interlink.bundle.slurmsite import SlurmSite
from interlink.errors import InvalidPod, Unsupported
from interlink.model.pod import Pod

# What a pod may ask of its runtime: nothing that reaches out of the container.
OPTIONS = frozenset(
    [
        "--nv",
        "--nvccli",
        "--rocm",
        "--cleanenv",
        "--containall",
        "--contain",
        "--no-eval",
        "--no-init",
        "--no-home",
        "--no-privs",
        "--writable-tmpfs",
        "--ipc",
        "--pid",
        "--uts",
        "--fakeroot",
        "--userns",
        "--unsquash",
        "--compat",
    ]
)


def site_of(pod: Pod, site: Site, cluster: SlurmSite) -> Site:
    """Return the site for one pod; Unsupported or InvalidPod names an annotation that is not allowed."""
    _, root = annotation(pod, "image-root")
    if root:
        site = replace(site, image_prefix=root if root.endswith(("/", ":")) or "://" in root else f"{root}/")
    options = (*_options(pod), *_mounts(pod, site))
    asked = {name for container in pod.containers for name in (*container.limits, *container.requests)}
    gres = frozenset(name for name in asked if cluster.gres_of(name) is not None)
    return replace(site, options=(*site.options, *options), resources=site.resources | gres)


def _options(pod: Pod) -> list[str]:
    key, text = annotation(pod, "singularity-options")
    words = _split(key, text)
    for word in words:
        if word not in OPTIONS:
            raise Unsupported(f"a pod may not set {word!r}", field=f"metadata.annotations[{key}]")
    return words


def _mounts(pod: Pod, site: Site) -> list[str]:
    """Return `--bind` options: sources below interlink_hostpath_allow only."""
    key, text = annotation(pod, "singularity-mounts")
    field = f"metadata.annotations[{key}]"
    binds = []
    for word in _split(key, text):
        if word in ("--bind", "-B"):
            continue
        for bind in word.removeprefix("--bind=").split(","):
            source = bind.split(":")[0]
            if (word.startswith("-") and not word.startswith("--bind=")) or not source.startswith("/"):
                raise InvalidPod(f"{word!r} is no bind; write --bind SOURCE:TARGET", field=field)
            normal = posixpath.normpath(source)
            if not any(root in ("/", normal) or normal.startswith(f"{root}/") for root in site.hostpath_roots):
                raise Unsupported(f"{source} may not be mounted (interlink_hostpath_allow)", field=field)
            binds += ["--bind", bind]
    return binds


def _split(key: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidPod(str(error), field=f"metadata.annotations[{key}]") from None
