"""A bundle on its way to a host: what a shell can write by itself as its text, the rest as a tar; pure.

A pod's own scripts are plain text, and a shell that is running already writes them faster than base64 and
tar are started. Everything that needs a mode, an owner, a link or an odd byte travels in the tar. What is the
same for every pod, and lies on the host already, does not travel at all: the bundle names its directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from interlink.bundle import tar
from interlink.remote import shell

LIB = "lib"  # the file of a bundle that says where its scripts are
FILE_BYTES, TEXT_BYTES = 16 << 10, 64 << 10  # of one file, and of all: quoting makes them longer
_PLAIN = re.compile(rb"[\t\n\x20-\x7e]*\Z")


@dataclass(frozen=True)
class Shelf:
    """Files that lie on the host already, where bundles do not change them: their directory, and what they hold."""

    directory: str
    files: Mapping[str, bytes] = field(repr=False)

    def spare(self, entries: Iterable[tar.Entry]) -> Iterator[tar.Entry]:
        """Yield what a bundle still needs of the entries, and `lib`, which tells that it uses the shelf."""
        yield tar.File(LIB, f"{self.directory}\n".encode())
        for entry in entries:
            if not isinstance(entry, tar.File) or self.files.get(entry.path) != entry.data:
                yield entry


@dataclass(frozen=True)
class Parcel:
    """`text` defines `il_fill DIRECTORY`, which makes the directory with all entries; `archive` is its stdin."""

    text: str = field(repr=False)
    archive: bytes = field(repr=False, default=b"")


def pack(entries: Iterable[tar.Entry]) -> Parcel:
    """Return the entries packed for a shell with umask 077. The parents of what it writes get mode 0700."""
    whole = tuple(entries)
    open_to_others = {e.path for e in whole if isinstance(e, tar.Directory) and e.mode != 0o700}
    written, rest, size = [], [], 0
    for entry in whole:
        if _is_plain(entry, open_to_others) and size <= TEXT_BYTES:
            written.append(entry)
            size += len(entry.data) if isinstance(entry, tar.File) else 0
        else:
            rest.append(entry)
    archive = tar.pack(rest) if rest else b""
    return Parcel(_function(written, unpacks=bool(rest)), archive)


def _is_plain(entry: tar.Entry, open_to_others: set[str]) -> bool:
    if isinstance(entry, tar.Directory):
        return entry.mode == 0o700 and not open_to_others & _parents(entry.path)
    if not isinstance(entry, tar.File) or entry.mode != 0o600 or open_to_others & _parents(entry.path):
        return False
    return len(entry.data) <= FILE_BYTES and _PLAIN.match(entry.data) is not None


def _function(entries: list[tar.Entry], *, unpacks: bool) -> str:
    commands = [f"mkdir {' '.join(_directories(entries))}"]
    commands += [f"printf %s {_content(e)} > {_place(e.path)}" for e in entries if isinstance(e, tar.File)]
    if unpacks:
        commands.append('tar -xpf - -C "$1"')
    return "\n".join(["il_fill() {", " &&\n".join(commands), "}", ""])


def _content(entry: tar.File) -> str:
    return shell.quote(entry.data.decode("ascii"))


def _directories(entries: list[tar.Entry]) -> Iterator[str]:
    """Yield the words for mkdir: the bundle's own directory, then each parent before what is in it."""
    yield '"$1"'
    needed: dict[str, None] = {}
    for entry in entries:
        needed.update(dict.fromkeys(reversed([*map(str, PurePosixPath(entry.path).parents[:-1])])))
        if isinstance(entry, tar.Directory):
            needed[entry.path] = None
    yield from map(_place, needed)


def _parents(path: str) -> set[str]:
    return {str(parent) for parent in PurePosixPath(path).parents[:-1]}


def _place(path: str) -> str:
    return f'"$1"/{shell.quote(path)}'
