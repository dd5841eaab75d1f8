"""The scripts that run on the host: their text, their version, and how one of their functions is called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from interlink.bundle import tar
from interlink.errors import ConfigError, InvalidPod
from interlink.remote import shell

_INSTALLED = (
    "lib",
    "step",
    "create",
    "pull",
    "show",
    "delete",
    "feed",
    "logs",
    "update",
    "stats",
    "supervisor",
    "care",
    "tend",
    "dial",
    "environ",
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")

UNPREPARED, BROKEN, NO_ENGINE = 90, 91, 92  # exit codes of our own


@cache
def text(name: str) -> str:
    """Return one of the scripts."""
    return resources.files(__package__).joinpath(f"{name}.sh").read_text(encoding="utf-8")


@cache
def version() -> str:
    """Return what tells this set of scripts from any other."""
    return hashlib.sha256("\0".join(map(text, _INSTALLED)).encode()).hexdigest()[:12]


@cache
def archive() -> bytes:
    """Return the scripts as a tar, to be unpacked in a directory of their own on the host."""
    return tar.pack(tar.File(f"{name}.sh", text(name).encode(), 0o600) for name in _INSTALLED)


def checked(name: str, what: str) -> str:
    """Return a UID or server id that may become part of a path and of a container's name."""
    if not _ID.fullmatch(name):
        raise InvalidPod(f"{name!r} cannot be a {what}: letters, digits, `-`, `_` and `.` only")
    return name


@dataclass(frozen=True)
class Place:
    """Our directory on a host, `<root>/<server id>`, and how to call our functions there."""

    root: str
    server: str
    engine: str

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.server):
            raise ConfigError(f"the server id {self.server!r} cannot name a directory")

    @property
    def directory(self) -> str:
        """The directory as one shell word; a leading `~` is the home of the user on the host."""
        root = self.root.rstrip("/") or "/"
        if root == "~" or root.startswith("~/"):
            return f'"$HOME"{shell.quote(f"{root[1:]}/{self.server}")}'
        if not root.startswith("/"):
            raise ConfigError(f"interlink_root must be absolute or begin with ~/, not {root!r}")
        return shell.quote(f"{root}/{self.server}")

    def prepare(self) -> str:
        """Return the script that makes the directory and installs our scripts (tar on stdin)."""
        return "\n".join(
            (
                f"umask 077; mkdir -p {self.directory} && cd {self.directory} || exit {BROKEN}",
                text("prepare"),
                shell.join(["il_prepare", version(), self.engine]),
            )
        )

    def call(self, function: str, *arguments: str, uses: tuple[str, ...] = ()) -> str:
        """Return the script that calls one of our functions; exit code UNPREPARED asks for `prepare`."""
        settings = {"IL_ENGINE": self.engine, "IL_SERVER": self.server, "IL_VERSION": version()}
        sources = " && ".join(f". ./bin/{version()}/{name}.sh" for name in ("lib", *uses))
        return "\n".join(
            (
                f"cd {self.directory} 2>/dev/null && [ -f bin/{version()}/lib.sh ] || exit {UNPREPARED}",
                shell.assignments(settings),
                f"{sources} || exit {BROKEN}",
                shell.join([function, *arguments]),
            )
        )
