"""What must be there on the host before a hostPath is mounted, as lines of shell; pure.

Source of the types: https://kubernetes.io/docs/concepts/storage/volumes/#hostpath-volume-types
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from interlink.bundle.mounts import HostPath
from interlink.remote import shell

_TESTS = {"Directory": "-d", "File": "-f", "Socket": "-S", "CharDevice": "-c", "BlockDevice": "-b"}


def checks(paths: Iterable[HostPath]) -> Iterator[str]:
    """Yield lines of `il_check`: each returns 1, with a message on stderr, if its path is not as asked for."""
    for path in paths:
        place = shell.quote(path.path)
        if path.type == "DirectoryOrCreate":
            yield f"    [ -d {place} ] || mkdir -p -m 755 {place} || return 1"
        elif path.type == "FileOrCreate":
            yield f"    [ -e {place} ] || : > {place} || return 1"
        elif path.type:
            said = shell.quote(f"hostPath type check failed: {path.path} is not of type {path.type}")
            yield f"    [ {_TESTS[path.type]} {place} ] || {{ echo {said} >&2; return 1; }}"
