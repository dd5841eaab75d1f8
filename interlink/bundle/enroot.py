"""The runtime `enroot`: a container's image as a squashfs, as the user that the host gives us. Pure.

Enroot isolates nothing but the file system: processes, network and hostname are the node's. Our script takes the place
of the image's own command script, and is read by the image's shell, which enroot needs anyway: it sets the pod's
variables, notes that the container stands, and starts the command, or what the image starts without one. What a
container writes is in memory, as enroot has it for images that are started without being unpacked.

Rules are those of enroot's documentation (doc/cmd/start.md, doc/image-format.md, doc/configuration.md; version 4.1).
"""

from __future__ import annotations

import re

from interlink.bundle import apptainer, binds, inside, pulling, resources
from interlink.bundle.env import EnvVar
from interlink.bundle.mounts import Mount
from interlink.bundle.starting import Launch, Runtime, check_arguments, check_env, exports
from interlink.bundle.tar import Entry
from interlink.bundle.text import Text, line, text, texts, word
from interlink.errors import Unsupported
from interlink.model.pod import Container

SUPPORTS = apptainer.SUPPORTS - {
    *("hostname", "subdomain", "setHostnameAsFQDN", "hostnameOverride"),
    "terminationMessagePath",  # its usual place is in /dev, which is the host's own
}
_BOX = "/.interlink"
_UNWANTED = re.compile(r"[\s:]")

_START = """\
umask 022
fail() {{ printf '%s\\n' "$1" >"$IL_DIR/start/{name}.refused"; exit 128; }}
cd "$IL_DIR" && read -r image <"image/{name}.path" || fail "the image is not ready"
{prepare}
cp "image/{name}.rc" "$box/rc" && cp "image/{name}.workdir" "$box/workdir" || fail "cannot write the bundle"
printf 'IL_POD_IP=%s IL_HOST_IP=%s\\n' "$IL_POD_IP" "$IL_HOST_IP" >"$box/address"
export ENROOT_RUNTIME_PATH="$IL_SCRATCH/{name}.run" ENROOT_DATA_PATH="$IL_SCRATCH/{name}.data"
export ENROOT_CONFIG_PATH="$IL_SCRATCH/{name}.conf" ENROOT_CACHE_PATH="$IL_SCRATCH/{name}.cache"
export ENROOT_LOGIN_SHELL=no ENROOT_MOUNT_HOME=no
unset TERM
{gpus}
cd / || exit 128
exec {program} start --rc "$IL_DIR/start/{name}.inside" {flags} "$@" -- "$image" {argv} 2>&1
"""
# Read by the image's shell instead of its /etc/rc; `$@` is the command, or what follows the image's entrypoint.
_INSIDE = """\
: >{box}/stands
. {box}/address
[ -n "$TERM" ] || unset TERM
export HOME="${{HOME:-/}}" PATH="${{PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}}"
il_directory={directory}
[ -n "$il_directory" ] || read -r il_directory <{box}/workdir || :
[ -d "${{il_directory:-/}}" ] || mkdir -p "$il_directory"
cd "${{il_directory:-/}}" 2>/dev/null || {{ echo "cannot enter $il_directory" >{box}/refused; exit 126; }}
unset il_directory
{exports}
{found}
unset PWD OLDPWD SHLVL
{start}
"""
_COMMAND = """\
__il_found "$1" || echo "exec: \\"$1\\": no such executable file" >{box}/refused
exec "$@"
"""
_OWN = """\
if [ -s {box}/rc ]; then . {box}/rc; fi
exec "$@"
"""


def entries(launch: Launch) -> tuple[Entry, ...]:
    """Return what starts the container: a script for the host, and one for its inside.

    Raises Unsupported for mounts at paths that enroot's fstab cannot hold, and for variables that no shell can set.
    """
    check_arguments(launch)
    check_env(launch)
    return inside.entries(launch.container.name, _start(launch), _inside(launch))


def _start(launch: Launch) -> str:
    container, site = launch.container, launch.site
    return _START.format(
        name=container.name,
        prepare="\n".join(binds.preparations(launch)),
        gpus=_devices(container),
        program=word(text(site.program or site.runtime)),
        flags=line(_flags(launch)),
        argv=line((*launch.command, *launch.args)),
    )


def _flags(launch: Launch) -> tuple[Text, ...]:
    sealed = bool(launch.container.security.get("readOnlyRootFilesystem"))
    box = Mount("bind", text(binds.DIRECTORY, f"/box/{launch.container.name}"), _BOX, readonly=False)
    mounts = [*binds.binds(launch), box]
    for mount in mounts:
        parts = (*(part for part in mount.source if isinstance(part, str)), mount.target)
        if any(_UNWANTED.search(part) for part in parts):
            message = f"enroot mounts no path with white space or a colon: {mount.target}"
            raise Unsupported(message, field=f"{launch.container.path}.volumeMounts")
    words = texts(*launch.site.options, *([] if sealed else ["--rw"]))
    return (*words, *(item for mount in mounts for item in (text("--mount"), _mount(mount))))


def _mount(mount: Mount) -> Text:
    """Return one entry of an fstab, its fields with colons between."""
    access = "ro" if mount.readonly else "rw"
    return text(*mount.source, f":{mount.target}:none:x-create=auto,rbind,rprivate,nosuid,nodev,{access}")


def _devices(container: Container) -> str:
    """Return what tells enroot's hook for NVIDIA's devices; an image that asks for them itself is not listened to."""
    if not resources.gpu_count(container) or resources.AMD in container.limits:
        return "set -- --env NVIDIA_VISIBLE_DEVICES=void"
    wanted = 'set -- --env "NVIDIA_VISIBLE_DEVICES=${IL_GPUS:-all}"'
    return f"{wanted} --env NVIDIA_DRIVER_CAPABILITIES=compute,utility"


def _inside(launch: Launch) -> str:
    mark = EnvVar("IL_CONTAINER", text(f"{launch.pod.uid}/{launch.container.name}"))
    return _INSIDE.format(
        box=_BOX,
        directory=word(text(str(launch.container.raw.get("workingDir") or ""))),
        exports=exports((mark, *launch.env)),
        found=inside.FOUND,
        start=(_COMMAND if launch.command else _OWN).format(box=_BOX),
    )


RUNTIME = Runtime(
    frozenset(SUPPORTS), apptainer.admit, entries, scripts=("pulling.sh", "cache.sh", "enroot.sh"), image=pulling.enroot
)
