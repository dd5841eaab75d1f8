"""The scripts that a driver sends: our files of shell functions, and one call. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from interlink.errors import InvalidPod
from interlink.remote import shell

UNPREPARED = 69  # exit code: the directory is not there, or cannot be written
NOT_WRITTEN = 73  # exit code: the disk is full, or a quota is exceeded

_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,127}")


@dataclass(frozen=True)
class Place:
    """Where on the host everything of one server id lies, and the driver's own functions for it."""

    root: str
    server_id: str
    functions: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        checked(self.server_id, "server id")

    def call(self, verb: str, *words: str, logs: bool = False, before: str = "") -> str:
        """Return the script that goes to the place and calls one function of ours, which may use those of `before`."""
        enter = ["il_prepare"] if verb == "il_prepare" else ["il_enter", shell.join([verb, *words])]
        parts = [
            source(__package__, "place.sh"),
            self.functions,
            source(__package__, "logs.sh") if logs else "",
            before,
            shell.join(["il_at", self.root, self.server_id]),
        ]
        return "\n".join([*parts, *enter, ""])


def checked(name: str, what: str) -> str:
    """Return a name that becomes part of a path on the host, if it is harmless; InvalidPod otherwise."""
    if not is_name(name):
        raise InvalidPod(f"{name!r} cannot be a {what}")
    return name


def is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


@cache
def source(package: str, name: str) -> str:
    """Return a shell script that belongs to a package as data."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
