"""What starts one container: the script `start/NAME` that the supervisor runs for each attempt.

The supervisor runs it with stdout on the container's log, stderr on a file of its own, and the variables
PATH, HOME, IL_DIR (the bundle), IL_VOLUMES, IL_POD_IP, IL_HOST_IP and IL_CONTAINER, by which it finds
whatever the container leaves behind. The script ends in an `exec`, so that signals reach the container
itself. What cannot be started is told in `start/NAME.refused`, with exit code 128 (golden: StartError).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from interlink.bundle.env import EnvVar
from interlink.bundle.envfile import STRING_MAX
from interlink.bundle.text import HostValue, Text, line, literal, text, word
from interlink.errors import Unsupported
from interlink.model.pod import Container

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names that some shell computes or protects, so that assigning them fails or does not last.
_SHELLS_OWN = re.compile(
    r"_|PWD|OLDPWD|SHLVL|U?ID|EUID|PPID|OPTIND|LINENO|RANDOM|SRANDOM|SECONDS|GROUPS|DIRSTACK|FUNCNAME|HISTCMD"
    r"|EPOCH.*|SHELLOPTS|BASH.*|COMP_.*|IL_.*"
)
_ADDRESSES = {HostValue.POD_IP: "0" * 45, HostValue.HOST_IP: "0" * 45}

_PROCESS = """\
umask 022
fail() {{ printf '%s\\n' "$1" >"$IL_DIR/start/{name}.refused"; exit 128; }}
found() (
	set -f
	case $1 in */*) [ -f "$1" ] && [ -x "$1" ]; exit ;; esac
	IFS=:
	for d in $PATH; do [ ! -f "$d/$1" ] || [ ! -x "$d/$1" ] || exit 0; done
	exit 1
)
{directory}
{path}
found {program} || fail "exec: "{program}": no such executable file"
{exports}
exec {argv} 2>&1
"""


@dataclass(frozen=True)
class Launch:
    """All that starting a container takes, expanded: `argv` is command and args."""

    container: Container
    argv: tuple[Text, ...]
    env: tuple[EnvVar, ...]


def process(launch: Launch) -> str:
    """Return the start script of the runtime `process`: no image, no isolation, a clean environment.

    Raises Unsupported for variables and arguments that a shell or Linux cannot hand over.
    """
    container = launch.container
    if not container.command:
        raise Unsupported(
            "the runtime process has no image, so the command must be given", field=f"{container.path}.command"
        )
    _check_arguments(launch.argv, container)
    _check_env(launch.env, container)
    directory = str(container.raw.get("workingDir") or "")
    path = [variable for variable in launch.env if variable.name == "PATH"]
    rest = [variable for variable in launch.env if variable.name != "PATH"]
    return _PROCESS.format(
        name=container.name,
        directory=_enter(container.name, directory),
        path=_exports(path),
        program=word(launch.argv[0]),
        exports=_exports(rest),
        argv=line(launch.argv),
    )


def _enter(name: str, directory: str) -> str:
    if not directory:
        return f'mkdir -p "$IL_DIR/work/{name}" && cd "$IL_DIR/work/{name}" || fail "cannot make a working directory"'
    quoted = word(text(directory))
    return f'cd {quoted} 2>/dev/null || fail "workingDir: cannot enter "{quoted}'


def _exports(env: Iterable[EnvVar]) -> str:
    return "\n".join(f"export {variable.name}={word(variable.value)}" for variable in env)


def _check_arguments(argv: tuple[Text, ...], container: Container) -> None:
    field = f"{container.path}.command"
    if literal(argv[0], _ADDRESSES).startswith("-"):
        raise Unsupported("a program's name cannot start with a dash here", field=f"{field}[0]")
    for argument in argv:
        if len(literal(argument, _ADDRESSES).encode()) >= STRING_MAX:
            raise Unsupported(f"an argument is longer than the {STRING_MAX} bytes that Linux passes on", field=field)
        if "\0" in literal(argument, _ADDRESSES):
            raise Unsupported("an argument holds a NUL byte", field=field)


def _check_env(env: tuple[EnvVar, ...], container: Container) -> None:
    for variable in env:
        field = f"{container.path}.env[{variable.name}]"
        if not _IDENTIFIER.fullmatch(variable.name):
            raise Unsupported("the runtime process cannot pass a variable of this name", field=field)
        if _SHELLS_OWN.fullmatch(variable.name):
            raise Unsupported("the host's shell keeps this name for itself", field=field)
        value = literal(variable.value, _ADDRESSES)
        if len(variable.name) + len(value.encode()) + 2 > STRING_MAX:
            raise Unsupported(f"the value is longer than the {STRING_MAX} bytes that Linux passes on", field=field)
        if "\0" in value:
            raise Unsupported("the value holds a NUL byte", field=field)
