"""A pod as a job: the options of sbatch, and the script of the batch step. Pure.

The order in which options win, weakest first: the host's variables, the flavor, what the containers ask for,
the pod's annotation of flags; what interLink needs for itself cannot be set at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from interlink.bundle import slurmflags, slurmresources
from interlink.bundle.slurmflags import Options
from interlink.bundle.slurmsite import Flavor, SlurmSite
from interlink.bundle.tar import Entry, File
from interlink.errors import InvalidPod, Unsupported
from interlink.model.pod import Container, Pod, PodRequest
from interlink.remote.shell import quote

PREFIXES = ("slurm-job.vk.io", "slurm-job.knoc.io", "slurm.hpk.io")  # the first that is there counts
MARGIN = 10  # seconds for the supervisor's own work after the last container's end
EARLY = 60  # seconds by which Slurm may send its signal before it is due
WSTUNNEL, POD_IP = "interlink.eu/wstunnel-client-commands", "interlink.eu/pod-ip"
_KNOWN = ("flags", "flavor", "pre-exec", "image-root", "mpi-flags", "singularity-mounts", "singularity-options",
          "enroot-mounts", "enroot-options")  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What is submitted: options without those that name places of the host, and files beside the bundle's own."""

    options: Options
    files: tuple[Entry, ...]


def compile_job(request: PodRequest, site: SlurmSite, lib: str = ".") -> Job:
    """Return the job of a pod; InvalidPod or Unsupported names the annotation that is wrong.

    `lib` is where the bundle finds the supervisor: in itself, or by a path from there.
    """
    pod = request.pod
    _refuse_annotations(pod)
    options = submission(pod, site)
    files: list[Entry] = [File("job.sh", script(pod, site, options, lib).encode())]
    if site.command_prefix:
        files.append(File("prefix.sh", _lines(site.command_prefix)))
    if trusted := _pre_exec(pod, site):
        files.append(File("pre-exec.sh", _lines(trusted)))
    return Job(options, tuple(files))


def submission(pod: Pod, site: SlurmSite) -> Options:
    """Return the options of the pod's job, each once."""
    key, flags = annotation(pod, "flags")
    try:
        explicit = slurmflags.parse(flags, "") if flags else {}
    except ValueError as error:
        raise InvalidPod(str(error).removeprefix(": "), field=f"metadata.annotations[{key}]") from None
    flavor = flavor_of(pod, site)
    asked = slurmresources.options(pod, site, flavor)
    merged = slurmflags.merge(site.options, flavor.options, asked, explicit)
    if "time" not in explicit:
        merged = slurmflags.merge(merged, _time(pod, merged.get("time")))
    return slurmflags.merge(merged, {"signal": f"B:TERM@{_warning(pod, merged.get('time'))}"})


def flavor_of(pod: Pod, site: SlurmSite) -> Flavor:
    """Return the flavor: the annotation's, else the first with GPUs for a pod that wants them, else the default."""
    key, name = annotation(pod, "flavor")
    if name:
        if name not in site.flavors:
            known = ", ".join(site.flavors) or "none"
            raise InvalidPod(f"there is no flavor {name!r}; known are {known}", field=f"metadata.annotations[{key}]")
        return site.flavors[name]
    if slurmresources.gres(pod, site):
        fitting = (f for f in site.flavors.values() if any(option.startswith(("gres", "gpus")) for option in f.options))
        return next(fitting, site.flavors.get(site.default_flavor, Flavor()))
    return site.flavors.get(site.default_flavor, Flavor())


def annotation(pod: Pod, name: str) -> tuple[str, str]:
    """Return key and value of an annotation under any of its prefixes; empty texts if there is none."""
    for prefix in PREFIXES:
        if value := pod.annotations.get(f"{prefix}/{name}"):
            return f"{prefix}/{name}", str(value)
    return "", ""


def minutes(limit: str) -> int | None:
    """Return a time limit of Slurm in minutes, rounded up; None for no limit or one that cannot be read.

    >>> [minutes(text) for text in ("90", "1:30", "2:00:00", "1-0", "1-00:30", "UNLIMITED")]
    [90, 2, 120, 1440, 1470, None]
    """
    days, dash, rest = limit.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in parts) or not (days.isdecimal() or not dash) or len(parts) > 3:
        return None
    numbers = [int(part) for part in parts]
    if dash:
        hours, mins, seconds = (*numbers, 0, 0)[:3]
    else:
        hours, mins, seconds = {1: (0, numbers[0], 0), 2: (0, *numbers), 3: tuple(numbers)}[len(numbers)]
    return int(days or 0) * 1440 + hours * 60 + mins + (seconds > 0)


def script(pod: Pod, site: SlurmSite, options: Options, lib: str = ".") -> str:
    """Return the batch script: a header, what runs before the containers, a section for each of them."""
    parts = [
        f"#!{site.shell}",
        f"# Pod {pod.namespace}/{pod.name}, UID {pod.uid}, run by interLink in this directory.",
        *(f"#SBATCH {word}" for word in slurmflags.arguments(options)),
        _START.format(uid=quote(pod.uid)),
    ]
    if site.command_prefix:
        parts.append(_PART.format(what="the site's CommandPrefix", file="prefix.sh", reason="CommandPrefixFailed"))
    if _pre_exec(pod, site):
        parts.append(_PART.format(what="the pod's pre-exec", file="pre-exec.sh", reason="PreExecFailed"))
    if address := pod.annotations.get(POD_IP):
        parts.append(f"export POD_IP={quote(str(address))}")
    if site.tsocks is not None:
        preload = "IL_PRELOAD_INSIDE" if site.images else "IL_PRELOAD"
        library, login = quote(site.tsocks.library), quote(site.tsocks.login)
        parts.append(_TSOCKS.format(preload=preload, library=library, login=login))
    parts += [_section(container) for container in pod.containers]
    end = _END if site.tsocks is None else _END_WITH_TUNNEL
    parts.append(end.format(supervisor=quote(f"{lib}/supervisor.sh")))
    return "\n".join(parts) + "\n"


def _section(container: Container) -> str:
    """Tell of a container what is no secret: neither arguments nor variables."""
    kind = {"init": "init container", "sidecar": "sidecar", "main": "container"}[container.kind.value]
    stated = {**container.requests, **container.limits}
    amounts = ", ".join(f"{_comment(name)} {_comment(amount)}" for name, amount in stated.items()) or "nothing stated"
    return (
        f"\n# --- {kind} {container.name}\n"
        f"# image {_comment(container.image) or 'none'}; resources: {amounts}\n"
        f"# started by start/{container.name}; output in logs/{container.name}.N, N counting its restarts from 0"
    )


def _comment(value: object) -> str:
    return " ".join(str(value).split())


_START = """
[ "${{PWD##*/}}" = {uid} ] && [ -e plan ] || exit 0 # the pod was deleted, and its directory with it
export SLURM_EXPORT_ENV=ALL # or srun inside the job would lose the environment

fail() {{ # REASON MESSAGE: end the pod before any container was started
	ln -s '0 0 0' claim 2>/dev/null || exit 0
	printf 'lost\\t%s\\t%s\\t%s\\t%s\\n' {uid} "$(date +%s)" "$1" "$2" >lost.new && mv -f lost.new lost
	exit 1
}}"""

_PART = """
# --- {what}
. ./{file} || fail {reason} "{what} failed with code $?\""""

_TSOCKS = """
# --- a way out of the compute node, by SSH through the login node
for il_try in 1 2 3 4 5 6 7 8; do
	il_port=$((20000 + ($$ * 7 + SLURM_JOB_ID * 13 + il_try * 101) % 40000))
	ssh -o BatchMode=yes -o ExitOnForwardFailure=yes -o ServerAliveInterval=30 -M -S tunnel \\
		-f -N -D "127.0.0.1:$il_port" {login} </dev/null >/dev/null 2>tunnel.err && break
	il_port=
done
[ -n "$il_port" ] || fail TunnelFailed "no SOCKS tunnel to the login node: $(tail -n 1 tunnel.err)"
printf 'server = 127.0.0.1\\nserver_port = %s\\nserver_type = 5\\n' "$il_port" >tsocks.conf
chmod 644 tsocks.conf
export {preload}={library} IL_TSOCKS="$PWD/tsocks.conf\""""

_END = """
# --- all of them together: in order, restarted, stopped
exec sh {supervisor} ."""

_END_WITH_TUNNEL = """
# --- all of them together: in order, restarted, stopped; then the tunnel, which outlives them otherwise
sh {supervisor} . &
il_pid=$!
trap 'kill -TERM "$il_pid"' TERM
while :; do
	wait "$il_pid"
	il_code=$?
	kill -0 "$il_pid" 2>/dev/null || break # a signal for us ends the waiting early
done
ssh -S tunnel -O exit tunnel 2>/dev/null
exit "$il_code\""""


def _time(pod: Pod, limit: str | None) -> Options:
    """Return a limit that lets the supervisor enforce the pod's deadline itself, within the site's own limit."""
    if pod.deadline is None:
        return {}
    needed = math.ceil((pod.deadline + pod.grace + MARGIN + EARLY + 60) / 60)
    site = minutes(limit) if limit else None
    return {"time": str(needed)} if site is None or needed < site else {}


def _warning(pod: Pod, limit: str | None) -> int:
    """Return how many seconds before the time limit the pod is told to stop; a short job keeps half of its time."""
    wanted = pod.grace + MARGIN
    most = minutes(limit) if limit else None
    return wanted if most is None else max(1, min(wanted, most * 30))


def _refuse_annotations(pod: Pod) -> None:
    for key in pod.annotations:
        prefix, _, name = str(key).partition("/")
        if prefix in PREFIXES[:2] and name not in _KNOWN:
            raise Unsupported("is not supported", field=f"metadata.annotations[{key}]")
    key, _ = annotation(pod, "mpi-flags")
    if key:
        raise Unsupported("is not supported", field=f"metadata.annotations[{key}]")


def _pre_exec(pod: Pod, site: SlurmSite) -> str:
    """Return the shell text that the pod brings; it is run as the SSH user, so its namespace must be trusted."""
    given: Mapping[str, str] = dict([annotation(pod, "pre-exec"), (WSTUNNEL, str(pod.annotations.get(WSTUNNEL) or ""))])
    wanted = {key: text for key, text in given.items() if text}
    if wanted and not {pod.namespace, "*"} & set(site.pre_exec):
        key = next(iter(wanted))
        raise Unsupported(
            f"the namespace {pod.namespace} may not bring shell commands (interlink_pre_exec_namespaces)",
            field=f"metadata.annotations[{key}]",
        )
    return "\n".join(wanted.values())


def _lines(text: str) -> bytes:
    return (text if text.endswith("\n") else f"{text}\n").encode()
