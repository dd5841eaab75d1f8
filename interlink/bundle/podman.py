"""The runtime `podman` of supervised pods: an image's container beside the supervisor, with or without root. Pure.

Nothing of it outlives the job: the container runs in the foreground, in the job's own cgroup where the engine's
runtime can do that (crun), on the host's network as with Apptainer, and is removed when it ends. Its processes carry
IL_CONTAINER, by which the supervisor finds what a killed podman has left; podman's own do not, so that they live to
clean up. Limits are the job's. Storage belongs on a disk of the node (storage.conf), not on NFS; without root, users
other than the image's 0 need subordinate ids (`man 5 subuid`).
"""

from __future__ import annotations

from collections.abc import Iterator

from interlink.bundle import apptainer, binds, docker, envfile, network, process, pulling, resources, security
from interlink.bundle.site import Site
from interlink.bundle.starting import Launch, Runtime, check_arguments
from interlink.bundle.tar import Directory, Entry, File
from interlink.bundle.text import Text, line, text, texts, word
from interlink.errors import Unsupported
from interlink.model.pod import Container, Pod

SUPPORTS = apptainer.SUPPORTS | {"runAsUser", "runAsGroup", "supplementalGroups"}

_START = """\
umask 022
fail() {{ printf '%s\\n' "$1" >"$IL_DIR/start/{name}.refused"; exit 128; }}
cd "$IL_DIR" && read -r image <"image/{name}.id" && read -r IL_USER <"image/{name}.user" &&
	read -r cgroups <"image/{name}.cgroups" || fail "the image is not ready"
IL_POD=$IL_DIR
{prepare}
set --{gpus}
set -- "$@" --env "IL_CONTAINER=$IL_CONTAINER" --pidfile "$box/stands" --cgroups "$cgroups"
container=il-{uid}-{name}-$IL_ATTEMPT
unset IL_CONTAINER
{exports}exec {program} run --rm --replace --pull never --log-driver passthrough \\
	--name "$container" --label interlink.eu/supervised={uid} {flags} "$@" {entry} -- "$image" {rest} 2>&1
"""
_DEVICES = """
IFS=,
for gpu in ${IL_GPUS:-}; do set -- "$@" --device "nvidia.com/gpu=$gpu"; done # by CDI
unset IFS"""
_AMD = " --device /dev/kfd --device /dev/dri"


def admit(pod: Pod, container: Container, site: Site) -> None:
    """Refuse ports under another number, and additions to the host's resolver."""
    process.check_ports(container)
    apptainer.check_resolver(pod, site)


def entries(launch: Launch) -> tuple[Entry, ...]:
    """Return what starts the container, and the file of its variables."""
    name = launch.container.name
    field = f"{launch.container.path}.env"
    check_arguments(launch)
    plan = envfile.plan(launch.env, field=field)
    if plan.named:
        raise Unsupported(f"no shell can hand over the value of {plan.named[0]!r}", field=field)
    found: list[Entry] = [File(f"start/{name}", _start(launch, plan).encode()), Directory(f"box/{name}", 0o700)]
    return (*found, *([File(f"env/{name}", plan.file)] if plan.file else []))


def _start(launch: Launch, plan: envfile.EnvPlan) -> str:
    container, site = launch.container, launch.site
    engine = docker.Site("", "podman", dns=site.dns)
    entry, rest = docker.command_words(container, launch.env, engine)
    return _START.format(
        name=container.name,
        uid=launch.pod.uid,
        prepare="\n".join(binds.preparations(launch)),
        gpus=_devices(container),
        exports="".join(f"{variable.name}={word(variable.value)} " for variable in plan.exported),
        program=word(text(site.program or site.runtime)),
        flags=line((*_flags(launch), *docker.env_flags(plan, launch.env, container, engine))),
        entry=line(entry),
        rest=line(rest),
    )


def _flags(launch: Launch) -> Iterator[Text]:
    pod, container, site = launch.pod, launch.container, launch.site
    yield from texts("--network", "host")
    if not pod.spec.get("hostNetwork"):
        yield from texts("--hostname", network.full_hostname(pod, site.dns.domain), "--no-hosts")
    if pod.spec.get("hostIPC"):
        yield from texts("--ipc", "host")
    if pod.spec.get("hostPID") or pod.spec.get("shareProcessNamespace"):
        yield from texts("--pid", "host")
    yield from docker.process_flags(pod, container)
    yield from security.flags(pod, container)
    yield from binds.flags(launch)
    yield from binds.own(f"/box/{container.name}/message", container.message_path)
    yield from texts(*site.options)


def _devices(container: Container) -> str:
    if not resources.gpu_count(container):
        return ""
    return _AMD if resources.AMD in container.limits else _DEVICES


RUNTIME = Runtime(frozenset(SUPPORTS), admit, entries, scripts=("pulling.sh", "podman.sh"), image=pulling.podman)
