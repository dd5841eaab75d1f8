"""Where the lab lives on this machine, and the locks by which test processes share it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def directory() -> Path:
    """$INTERLINK_LAB or /var/lib/il-lab: short, for unix sockets; /run is too small and noexec on most machines."""
    return Path(os.environ.get("INTERLINK_LAB") or "/var/lib/il-lab")


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the file's lock exclusively; waits for whoever has it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class InUse:
    """A shared lock that says "this process uses the lab"; the kernel drops it with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a")
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        self._file.close()


def used(path: Path) -> bool:
    """True when some process holds InUse on `path`."""
    if not path.exists():
        return False
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def loopback_address() -> str:
    """An address of 127.0.0.0/8 that no other living process of this machine gets from here."""
    pid = os.getpid()
    return f"127.{100 + (pid >> 16 & 0x7F)}.{pid >> 8 & 0xFF}.{pid & 0xFF}"
