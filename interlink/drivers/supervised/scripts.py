"""The scripts that run on the host: our files of shell functions, which lie there, and calls of them. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources

from interlink.bundle import job, runtimes, tar
from interlink.bundle.parcel import Shelf
from interlink.errors import InvalidPod
from interlink.remote import shell

UNPREPARED = 69  # exit code: the directory or our scripts are not there, or it cannot be written
NOT_WRITTEN = 73  # exit code: the disk is full, or a quota is exceeded

_OURS = ("place.sh", "logs.sh")
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,127}")


@dataclass(frozen=True)
class Place:
    """Where on the host everything of one server id lies, and the driver's own scripts for it.

    The scripts are sent once, and lie in a directory that is named by their content. A call is a few lines then: a
    shell reads its commands from an SSH session byte by byte (bash), which took longer than all that they do.
    """

    root: str
    server_id: str
    scripts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By file name; `host.sh` has what every call may use."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Shell variables that they need."""

    def __post_init__(self) -> None:
        checked(self.server_id, "server id")

    def call(self, verb: str, *words: str, uses: tuple[str, ...] = (), before: str = "") -> str:
        """Return the script that goes to the place and calls one function of ours.

        It may use what is in `host.sh`, in the scripts of `uses`, and in the text `before`.
        """
        sources = " && ".join(f'. "./$il_lib/{name}"' for name in ("place.sh", "host.sh", *uses))
        found = f'cd "$il_root" 2>/dev/null && [ -f "$il_lib/place.sh" ] || exit {UNPREPARED}'
        parts = [
            f"il_root={self._directory} il_lib={self.shelf.directory}",
            found,
            shell.assignments(self.settings) + f"{sources} || exit {UNPREPARED}",
            before + shell.join([verb, *words]),
        ]
        return "\n".join([*parts, ""])

    def install(self) -> str:
        """Return the script that makes the directory and our scripts in it, which are a tar on its stdin."""
        return "\n".join(
            [
                f"il_root={self._directory}",
                source(__package__, "place.sh"),
                source(__package__, "install.sh"),
                shell.join(["il_install", self.shelf.directory]),
                "",
            ]
        )

    @cached_property
    def archive(self) -> bytes:
        """The scripts as a tar."""
        return tar.pack(tar.File(name, data) for name, data in self.shelf.files.items())

    @cached_property
    def shelf(self) -> Shelf:
        """The scripts by their names, in a directory whose name tells them from any others."""
        files = {name: source(__package__, name).encode() for name in _OURS}
        files |= {name: text.encode() for name, text in self.scripts.items()}
        files |= {name: job.source(name) for name in _of_bundles()}
        files["manifest"] = "".join(f"{name}\n" for name in files).encode()
        digest = hashlib.sha256("\0".join(f"{name}\0{data!r}" for name, data in files.items()).encode())
        return Shelf(f"bin/{digest.hexdigest()[:12]}", files)

    @property
    def _directory(self) -> str:
        return shell.path(f"{self.root.rstrip('/')}/{self.server_id}")


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


@cache
def _of_bundles() -> tuple[str, ...]:
    """Return the names of the scripts that bundles hold, each once."""
    every = (*job.SCRIPTS, *(name for runtime in runtimes.RUNTIMES.values() for name in runtime.scripts))
    return tuple(dict.fromkeys(every))
