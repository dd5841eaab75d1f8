"""How a container's variables travel through an engine's command line, values never in its arguments.

An env-file carries one line a variable, under any name without a blank; it cannot carry line ends, and
the engines read lines of 64 KiB at most, drop a final carriage return and take `#` for a comment.
Everything else goes into the environment of that one engine process with `-e NAME`: assigned by the shell, or,
under a name that no shell can assign (the key `app.conf` of a ConfigMap), put there from a file by environ.sh.
What would steer the engine's command line is refused by name (decisions.md 19).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from interlink.bundle.env import EnvVar
from interlink.bundle.text import HostValue, is_plain, literal
from interlink.errors import Unsupported

STRING_MAX = 128 << 10  # bytes of NAME=value with its final NUL: Linux' limit for one string of an exec
TOTAL_MAX = 1 << 20  # bytes of all of them that one engine process is given: half of Linux' usual limit

_LINE_MAX = 60 << 10
_ADDRESS_MAX = 45  # bytes that a host's or pod's address may take
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Assigning these would steer the shell, the loader or the engine's own command line instead.
_STEERING = re.compile(
    r"PATH|HOME|TMPDIR|IFS|ENV|UID|EUID|PPID|PWD|OLDPWD|OPTIND|OPTARG|PS[0-9]|CDPATH|SHELLOPTS|TERM|NOTIFY_SOCKET"
    r"|REGISTRY_AUTH_FILE|(BASH|GO|IL_|LC_|LD_|DOCKER_|CONTAINER|STORAGE_|XDG_|LISTEN_|_).*"
)


@dataclass(frozen=True)
class EnvPlan:
    """Variables by the way they travel: `file` is the env-file, `exported` go into the CLI's environment.

    So do the `named`, which `unassigned` holds as "NAME=VALUE" with a NUL after each.
    """

    file: bytes = field(default=b"", repr=False)
    exported: tuple[EnvVar, ...] = ()
    named: tuple[str, ...] = ()
    unassigned: bytes = field(default=b"", repr=False)


def plan(env: Iterable[EnvVar], *, field: str) -> EnvPlan:
    """Divide the variables; Unsupported names one that neither way can carry."""
    lines: list[bytes] = []
    exported: list[EnvVar] = []
    unassigned: list[EnvVar] = []
    for variable in env:
        if _size(variable) > STRING_MAX:
            raise Unsupported(f"the value of {variable.name} is longer than 128 KiB", field=field)
        if _fits_a_line(variable):
            lines.append(f"{variable.name}={literal(variable.value)}\n".encode())
        elif _STEERING.fullmatch(variable.name):
            raise Unsupported(f"the engine's command line cannot carry this value of {variable.name!r}", field=field)
        elif _IDENTIFIER.fullmatch(variable.name):
            exported.append(variable)
        elif is_plain(variable.value) and not variable.name.endswith("*"):  # a pattern, to podman
            unassigned.append(variable)
        else:
            raise Unsupported(f"the engine's command line cannot carry this value of {variable.name!r}", field=field)
    if sum(_size(variable) for variable in (*exported, *unassigned)) > TOTAL_MAX:
        raise Unsupported("the variables with long or several lines exceed 1 MiB together", field=field)
    records = b"".join(f"{variable.name}={literal(variable.value)}\0".encode() for variable in unassigned)
    return EnvPlan(b"".join(lines), tuple(exported), tuple(variable.name for variable in unassigned), records)


def _fits_a_line(variable: EnvVar) -> bool:
    if not is_plain(variable.value) or variable.name.startswith("#") or " " in variable.name:
        return False
    value = literal(variable.value)
    return "\n" not in value and not value.endswith("\r") and _size(variable) <= _LINE_MAX


def _size(variable: EnvVar) -> int:
    parts = (_ADDRESS_MAX if isinstance(part, HostValue) else len(part.encode()) for part in variable.value)
    return len(variable.name) + 2 + sum(parts)
