"""The runtime `process`: no image, no isolation, no mounts; it sees the host. Pure.

What asks for walls is refused (security contexts, mounts, host names), and what only describes is
accepted: images and their pull policy, ports, requests and limits of CPU and memory, which serve placement
and are not enforced.
"""

from __future__ import annotations

from interlink.bundle.site import Site
from interlink.bundle.starting import Launch, Runtime, check_arguments, check_env, exports
from interlink.bundle.tar import Directory, Entry, File
from interlink.bundle.text import line, text, word
from interlink.errors import Unsupported
from interlink.model.pod import Container, Pod

# Beside the volumes (at $IL_VOLUMES/NAME): what a process shares with its host anyway.
SUPPORTS = frozenset(
    {
        *("configMap", "secret", "projected", "downwardAPI"),
        *("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostPort", "workingDir"),
        "terminationMessagePolicy",
    }
)

_START = """\
umask 022
fail() {{ printf '%s\\n' "$1" >"$IL_DIR/start/{name}.refused"; exit 128; }}
found() (
	set -f
	case $1 in */*) [ -f "$1" ] && [ -x "$1" ]; exit ;; esac
	IFS=:
	for d in $PATH; do [ ! -f "$d/$1" ] || [ ! -x "$d/$1" ] || exit 0; done
	exit 1
)
{gpus}
unset IL_MEMORY IL_SCRATCH IL_ATTEMPT # for runtimes with mounts
{directory}
{path}
found {program} || fail "exec: "{program}": no such executable file"
{exports}
exec {argv} 2>&1
"""
# Who asked for no device sees none of those that the job was given.
GPUS = '[ -z "${IL_GPUS+set}" ] || export CUDA_VISIBLE_DEVICES="$IL_GPUS" ROCR_VISIBLE_DEVICES="$IL_GPUS"'


def admit(pod: Pod, container: Container, site: Site) -> None:
    """Refuse mounts, other numbers for ports, and a missing command."""
    for index, mount in enumerate(container.mounts):
        field = f"{container.path}.volumeMounts[{index}]"
        if not site.ignores(field):
            raise Unsupported(
                f"the runtime process cannot mount; the volume is at $IL_VOLUMES/{mount.get('name')}", field=field
            )
    check_ports(container)


def check_ports(container: Container) -> None:
    """Refuse to publish a port under another number: containers listen on their host's own ports."""
    for index, port in enumerate(container.ports):
        if port.get("hostPort") and port["hostPort"] != port.get("containerPort"):
            raise Unsupported(
                "a port cannot be published under another number where the host's network is used",
                field=f"{container.path}.ports[{index}].hostPort",
            )


def entries(launch: Launch) -> tuple[Entry, ...]:
    """Return the start script; Unsupported for variables and arguments that a shell or Linux cannot hand over."""
    name = launch.container.name
    return (File(f"start/{name}", script(launch).encode()), Directory(f"work/{name}", 0o700))


def script(launch: Launch) -> str:
    """Return the start script: a clean environment, a working directory of its own."""
    container = launch.container
    if not launch.command:
        raise Unsupported(
            "the runtime process has no image, so the command must be given", field=f"{container.path}.command"
        )
    check_arguments(launch)
    check_env(launch)
    return _START.format(
        name=container.name,
        gpus=GPUS,
        directory=_enter(container.name, str(container.raw.get("workingDir") or "")),
        path=exports(variable for variable in launch.env if variable.name == "PATH"),
        program=word(launch.command[0]),
        exports=exports(variable for variable in launch.env if variable.name != "PATH"),
        argv=line((*launch.command, *launch.args)),
    )


def _enter(name: str, directory: str) -> str:
    if not directory:
        return f'cd "$IL_DIR/work/{name}" || fail "its working directory is gone"'
    quoted = word(text(directory))
    return f'cd {quoted} 2>/dev/null || fail "workingDir: cannot enter "{quoted}'


RUNTIME = Runtime(SUPPORTS, admit, entries, term="group")
