"""What annotations of the existing plugin say about images and their runtime, taken into the site of a pod. Pure."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass, replace

from interlink.bundle.site import Site
from interlink.bundle.slurmjob import annotation
from interlink.bundle.slurmsite import SlurmSite
from interlink.errors import InvalidPod, Unsupported
from interlink.model.pod import Pod


@dataclass(frozen=True)
class Dialect:
    """How annotations for one runtime are written: NAME-options, NAME-mounts."""

    name: str
    options: frozenset[str]  # what a pod may ask for: nothing that reaches out of the container
    mount: tuple[str, ...]  # the flag of a mount, first as it is passed on
    separator: str = ""  # between the mounts behind one flag

    def has(self, pod: Pod, kind: str) -> bool:
        return bool(annotation(pod, f"{self.name}-{kind}")[0])


_SINGULARITY = Dialect(
    "singularity",
    frozenset(
        [
            *("--nv", "--nvccli", "--rocm"),
            *("--cleanenv", "--containall", "--contain", "--no-eval", "--no-init", "--no-home", "--no-privs"),
            *("--writable-tmpfs", "--ipc", "--pid", "--uts", "--fakeroot", "--userns", "--unsquash", "--compat"),
        ]
    ),
    ("--bind", "-B"),
    separator=",",
)
_ENROOT = Dialect("enroot", frozenset(["--rw", "-w", "--root", "-r", "--ipc", "--uts"]), ("--mount", "-m"))
_DIALECTS = {"singularity": _SINGULARITY, "apptainer": _SINGULARITY, "enroot": _ENROOT}


def site_of(pod: Pod, site: Site, cluster: SlurmSite) -> Site:
    """Return the site for one pod; Unsupported or InvalidPod names an annotation that is not allowed."""
    _, root = annotation(pod, "image-root")
    if root:
        site = replace(site, image_prefix=root if root.endswith(("/", ":")) or "://" in root else f"{root}/")
    _refuse_others(pod, site)
    dialect = _DIALECTS.get(site.runtime)
    options = (*_options(pod, dialect), *_mounts(pod, site, dialect)) if dialect else ()
    asked = {name for container in pod.containers for name in (*container.limits, *container.requests)}
    gres = frozenset(name for name in asked if cluster.gres_of(name) is not None)
    return replace(site, options=(*site.options, *options), resources=site.resources | gres)


def _refuse_others(pod: Pod, site: Site) -> None:
    """Refuse what is written for another runtime, unless the pod says the same thing for this one."""
    own = _DIALECTS.get(site.runtime)
    for other in (_SINGULARITY, _ENROOT):
        for kind in ("options", "mounts"):
            key, _ = annotation(pod, f"{other.name}-{kind}")
            field = f"metadata.annotations[{key}]"
            if key and other is not own and not (own and own.has(pod, kind)) and not site.ignores(field):
                raise Unsupported(f"is for another runtime than the host's, which is {site.runtime}", field=field)


def _options(pod: Pod, dialect: Dialect) -> list[str]:
    key, text = annotation(pod, f"{dialect.name}-options")
    words = _split(key, text)
    for word in words:
        if word not in dialect.options:
            raise Unsupported(f"a pod may not set {word!r}", field=f"metadata.annotations[{key}]")
    return words


def _mounts(pod: Pod, site: Site, dialect: Dialect) -> list[str]:
    """Return the runtime's options for mounts: sources below interlink_hostpath_allow only."""
    key, text = annotation(pod, f"{dialect.name}-mounts")
    field = f"metadata.annotations[{key}]"
    flag = dialect.mount[0]
    found = []
    for word in _split(key, text):
        if word in dialect.mount:
            continue
        whole = word.removeprefix(f"{flag}=")
        for mount in whole.split(dialect.separator) if dialect.separator else [whole]:
            source = mount.split(":")[0]
            flagged = word.startswith("-") and not word.startswith(f"{flag}=")
            # White space would begin another mount, whose source nobody has looked at (enroot's runtime.sh).
            if flagged or not source.startswith("/") or any(character.isspace() for character in mount):
                raise InvalidPod(f"{word!r} is no mount; write {flag} SOURCE:TARGET", field=field)
            normal = posixpath.normpath(source)
            if not any(root in ("/", normal) or normal.startswith(f"{root}/") for root in site.hostpath_roots):
                raise Unsupported(f"{source} may not be mounted (interlink_hostpath_allow)", field=field)
            found += [flag, mount]
    return found


def _split(key: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidPod(str(error), field=f"metadata.annotations[{key}]") from None
