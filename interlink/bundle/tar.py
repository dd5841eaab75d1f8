"""Entries of a bundle, and the deterministic tar that carries them.

The format is GNU's, which GNU tar, busybox and bsdtar all unpack, long names included. Unpack with
`tar -xpf -`: without `-p` the umask would take away modes that were asked for.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass(frozen=True)
class File:
    """A regular file; `path` is relative to where the tar is unpacked."""

    path: str
    data: bytes = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True)
class Directory:
    """A directory."""

    path: str
    mode: int = 0o755


@dataclass(frozen=True)
class Link:
    """A symbolic link; `target` is stored as it is."""

    path: str
    target: str


Entry = File | Directory | Link

_TYPES = {File: tarfile.REGTYPE, Directory: tarfile.DIRTYPE, Link: tarfile.SYMTYPE}


def pack(entries: Iterable[Entry], *, mtime: int = 0, owner: tuple[int, int] = (0, 0)) -> bytes:
    """Return the tar of the entries: the same entries always give the same bytes.

    `mtime` is seconds since 1970, `owner` uid and gid for whoever unpacks as root. Parents that are not
    among the entries become directories of mode 0755. Raises ValueError for a path that is absolute,
    leaves the directory or occurs twice.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in _with_parents(entries):
            info = tarfile.TarInfo(entry.path)
            info.type, info.mtime = _TYPES[type(entry)], mtime
            info.uid, info.gid = owner
            info.mode = 0o777 if isinstance(entry, Link) else entry.mode
            info.linkname = entry.target if isinstance(entry, Link) else ""
            data = entry.data if isinstance(entry, File) else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def under(directory: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries moved below a directory."""
    return tuple(_moved(entry, f"{directory}/{entry.path}") for entry in entries)


def _moved(entry: Entry, path: str) -> Entry:
    if isinstance(entry, File):
        return File(path, entry.data, entry.mode)
    return Link(path, entry.target) if isinstance(entry, Link) else Directory(path, entry.mode)


def _with_parents(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries with their missing parents before them, each path once."""
    seen: set[str] = set()
    for entry in entries:
        for parent in reversed(_checked(entry.path).parents[:-1]):
            if str(parent) not in seen:
                seen.add(str(parent))
                yield Directory(str(parent))
        if entry.path in seen:
            raise ValueError(f"{entry.path!r} occurs twice in a bundle")
        seen.add(entry.path)
        yield entry


def _checked(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    if str(pure) != path or pure.is_absolute() or ".." in pure.parts or path == "." or "\0" in path:
        raise ValueError(f"{path!r} is not a relative path inside a bundle")
    return pure
