"""A container's mounts as binds of directories and files of the host, for runtimes without volumes of their own; pure.

In the bundle: `volumes/<volume>/` for files and emptyDirs, `none/<volume>/` for a subPath that is not there,
and `box/<container>/` for what the start script makes: hosts, hostname, message.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from interlink.bundle import mounts, network
from interlink.bundle.mounts import Mount
from interlink.bundle.starting import Launch
from interlink.bundle.text import HostValue, Text, line, text
from interlink.remote import shell

DIRECTORY, VOLUMES, MEMORY = HostValue("IL_DIR"), HostValue("IL_VOLUMES"), HostValue("IL_MEMORY")
_TESTS = {"Directory": "-d", "File": "-f", "Socket": "-S", "CharDevice": "-c", "BlockDevice": "-b"}


def binds(launch: Launch) -> tuple[Mount, ...]:
    """Return everything that is bound into the container, what lies in another after it."""
    scope = mounts.Scope(launch.pod, launch.files, launch.env)
    found = tuple(_bound(launch, mount) for mount in mounts.mounts(scope, launch.container))
    taken = {mount.target for mount in found}
    return (*(mount for mount in _names(launch) if mount.target not in taken), *found)


def flags(launch: Launch) -> tuple[Text, ...]:
    """Return the binds as `--mount` flags: CSV records, which apptainer reads as podman does."""
    return mounts.flags(binds(launch), "podman")


def own(place: str, target: str, *, readonly: bool = False) -> tuple[Text, ...]:
    """Return the flags that bind a place of the bundle."""
    return mounts.flags([Mount("bind", text(DIRECTORY, place), target, readonly)], "podman")


def preparations(launch: Launch) -> Iterator[str]:
    """Yield lines of shell that make what is bound, each of which calls `fail` if it cannot."""
    yield f'box="$IL_DIR/box/{launch.container.name}"; rm -rf "$box"; mkdir -p "$box" || fail "cannot write the bundle"'
    if not launch.pod.spec.get("hostNetwork"):
        yield f'printf "%s\\n" {line(network.hosts_lines(launch.pod, launch.site.dns.domain))} >"$box/hosts"'
        yield f'echo {shell.quote(network.full_hostname(launch.pod, launch.site.dns.domain))} >"$box/hostname"'
        yield 'chmod 644 "$box/hosts" "$box/hostname"'
    yield ': >"$box/message"; chmod 666 "$box/message"'
    for path in mounts.host_paths(launch.pod, launch.container):
        yield from _host_path(path)
    scope = mounts.Scope(launch.pod, launch.files, launch.env)
    places = mounts.sub_paths(scope, launch.container)
    if places:
        yield SUB_PATH
    for place in places:
        root = _empty_dir(launch, place.volume)
        yield f"{place.variable.variable}={line([root])}"
        yield f'sub_path "${place.variable.variable}" {line([place.path])}'


SUB_PATH = """\
sub_path() (
	IFS=/
	set -f
	cd "$1" || fail "the volume is gone"
	for part in $2; do
		[ -n "$part" ] || continue
		[ ! -L "$part" ] || fail "subPath: $2 leads through a symbolic link"
		[ -e "$part" ] || { mkdir "$part" && chmod 777 "$part"; } || fail "subPath: cannot make $2"
		[ -d "$part" ] || exit 0
		cd "$part" || fail "subPath: cannot enter $2"
	done
) || exit 128
"""


def _host_path(path: mounts.HostPath) -> Iterator[str]:
    place = shell.quote(path.path)
    if path.type == "DirectoryOrCreate":
        yield f"[ -d {place} ] || mkdir -p -m 755 {place} || fail {shell.quote(f'hostPath: cannot make {path.path}')}"
    elif path.type == "FileOrCreate":
        yield f"[ -e {place} ] || : >{place} || fail {shell.quote(f'hostPath: cannot make {path.path}')}"
    else:
        test = _TESTS.get(path.type, "-e")
        said = f"hostPath type check failed: {path.path} is not of type {path.type or 'any'}"
        yield f"[ {test} {place} ] || fail {shell.quote(said)}"


def _empty_dir(launch: Launch, name: str) -> Text:
    in_memory = {str(volume["name"]) for volume in mounts.empty_dirs(launch.pod, memory=True)}
    return text(MEMORY if name in in_memory else VOLUMES, f"/{name}")


def _bound(launch: Launch, mount: Mount) -> Mount:
    """Return a mount with its source where this kind of bundle has it."""
    if mount.kind == "volume":
        prefix = mounts.volume_name(launch.pod.uid, "")
        name = "".join(part for part in mount.source if isinstance(part, str)).removeprefix(prefix)
        return dataclasses.replace(mount, kind="bind", source=_empty_dir(launch, name))
    first, *rest = mount.source
    if first != mounts.POD_DIRECTORY:
        return mount
    where = str(rest[0])
    if where.startswith("/vol/"):
        return dataclasses.replace(mount, source=text(VOLUMES, where.removeprefix("/vol"), *rest[1:]))
    return dataclasses.replace(mount, source=text(DIRECTORY, *rest))


def _names(launch: Launch) -> Iterator[Mount]:
    sealed = bool(launch.container.security.get("readOnlyRootFilesystem"))
    if not launch.pod.spec.get("hostNetwork"):
        for name in ("hosts", "hostname"):
            source = text(DIRECTORY, f"/box/{launch.container.name}/{name}")
            yield Mount("bind", source, f"/etc/{name}", sealed and name != "hosts")  # as a kubelet has it
    if network.resolv_conf(launch.pod, launch.site.dns) is not None:
        yield Mount("bind", text(DIRECTORY, "/resolv.conf"), "/etc/resolv.conf", sealed)
