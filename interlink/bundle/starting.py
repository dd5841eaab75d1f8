"""What every runtime's start script has in common; pure.

The supervisor runs `start/NAME` for each attempt, with stdout on the container's log, stderr on a file of
its own, and the variables PATH, HOME, IL_DIR (the bundle), IL_VOLUMES, IL_MEMORY (emptyDirs in memory),
IL_SCRATCH (a directory of the node for this pod), IL_POD_IP, IL_HOST_IP, IL_GPUS and IL_CONTAINER, by which it
finds whatever the container leaves behind. The script ends in an `exec`, so that signals reach the container
itself. What cannot be started is told in `start/NAME.refused`, with exit code 128 (golden: StartError).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default

from interlink.bundle.env import EnvVar
from interlink.bundle.envfile import STRING_MAX
from interlink.bundle.site import Site
from interlink.bundle.tar import Entry
from interlink.bundle.text import HostValue, Text, literal, word
from interlink.errors import Unsupported
from interlink.model.driver import VolumeFile
from interlink.model.pod import Container, Pod, PodRequest

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names that some shell computes or protects, so that assigning them fails or does not last.
_SHELLS_OWN = re.compile(
    r"_|PWD|OLDPWD|SHLVL|U?ID|EUID|PPID|OPTIND|LINENO|RANDOM|SRANDOM|SECONDS|GROUPS|DIRSTACK|FUNCNAME|HISTCMD"
    r"|EPOCH.*|SHELLOPTS|BASH.*|COMP_.*|IL_.*"
)
_ADDRESSES = {HostValue.POD_IP: "0" * 45, HostValue.HOST_IP: "0" * 45}


@dataclass(frozen=True)
class Launch:
    """All that starting a container takes, with its variables expanded; `files` by the volume's name."""

    pod: Pod
    container: Container
    command: tuple[Text, ...] = ()
    args: tuple[Text, ...] = ()
    env: tuple[EnvVar, ...] = ()
    files: Mapping[str, Sequence[VolumeFile]] = default(default_factory=dict)
    site: Site = default(default_factory=Site)


@dataclass(frozen=True)
class Runtime:
    """One way to start containers.

    `supports` are the features of `fields` that it honours, `admit` refuses by name what of a container it
    cannot honour beyond that, `entries` makes the container's files of the bundle. `term` says who is sent
    the signal that stops a container: its whole process `group`, or the `leader` that hands it on. A runtime of
    images has `image`, which makes the files that have one ready, by the `scripts` that the bundle needs for it.
    """

    supports: frozenset[str]
    admit: Callable[[Pod, Container, Site], None]
    entries: Callable[[Launch], tuple[Entry, ...]]
    term: str = "leader"
    scripts: tuple[str, ...] = ()
    image: Callable[[PodRequest, Container, Site], Iterator[Entry]] | None = None


def exports(env: Iterable[EnvVar]) -> str:
    """Return the variables as lines of a shell."""
    return "\n".join(f"export {variable.name}={word(variable.value)}" for variable in env)


def check_arguments(launch: Launch) -> None:
    """Refuse what Linux cannot hand over."""
    for key, words in (("command", launch.command), ("args", launch.args)):
        field = f"{launch.container.path}.{key}"
        for argument in words:
            if len(literal(argument, _ADDRESSES).encode()) >= STRING_MAX:
                raise Unsupported(
                    f"an argument is longer than the {STRING_MAX} bytes that Linux passes on", field=field
                )
            if "\0" in literal(argument, _ADDRESSES):
                raise Unsupported("an argument holds a NUL byte", field=field)
    program = (*launch.command, *launch.args)[:1]
    if launch.command and literal(program[0], _ADDRESSES).startswith("-"):
        raise Unsupported("a program's name cannot start with a dash here", field=f"{launch.container.path}.command[0]")


def check_env(launch: Launch, own: re.Pattern[str] = _SHELLS_OWN) -> None:
    """Refuse variables that a shell cannot set, by their names; `own` are those it keeps for itself."""
    for variable in launch.env:
        field = f"{launch.container.path}.env[{variable.name}]"
        if not _IDENTIFIER.fullmatch(variable.name):
            message = f"the runtime {launch.site.runtime} cannot pass a variable of this name"
            raise Unsupported(message, field=field)
        if own.fullmatch(variable.name):
            raise Unsupported("the host's shell keeps this name for itself", field=field)
        value = literal(variable.value, _ADDRESSES)
        if len(variable.name) + len(value.encode()) + 2 > STRING_MAX:
            raise Unsupported(f"the value is longer than the {STRING_MAX} bytes that Linux passes on", field=field)
        if "\0" in value:
            raise Unsupported("the value holds a NUL byte", field=field)
