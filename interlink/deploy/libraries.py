"""The libraries that interLink runs with here, to be taken to a machine with the same Python.

That machine then needs no package index, no pip and no build tools, and gets the very versions that work here.
Which distributions these are is told by their own metadata, of what is installed.
"""

from __future__ import annotations

import hashlib
import io
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_NAME = "interlink"
_EPOCH = 315532800  # 1980, as in our wheels


def own_tag() -> str:
    """Return what a Python must have in common with ours to load the same libraries."""
    return str(sysconfig.get_config_var("SOABI") or "")


@dataclass(frozen=True)
class Libraries:
    """Distributions as they are installed here; `tag` names the Pythons that they are for."""

    tag: str
    distributions: tuple[metadata.Distribution, ...] = field(repr=False)

    @property
    def key(self) -> str:
        """A name for exactly these versions."""
        lines = [self.tag, *(f"{each.name}=={each.version}" for each in self.distributions)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    def archive(self) -> bytes:
        """Return their files as a tar, compressed quickly, to be unpacked where Python looks for libraries."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
            for each in self.distributions:
                for path, file in _files(each):
                    _add(tar, path, file)
        return buffer.getvalue()


def collect() -> Libraries | None:
    """Return the libraries of this process' own interLink; None where they cannot be told from their surroundings."""
    found: dict[str, metadata.Distribution] = {}
    _follow(_NAME, frozenset(), found, {})
    del found[_NAME]
    whole = all(each.files and not any(_is_path_file(f) for f in each.files) for each in found.values())
    return Libraries(own_tag(), tuple(found[name] for name in sorted(found))) if whole and own_tag() else None


def required(texts: Iterable[str], extras: frozenset[str]) -> Iterator[Requirement]:
    """Yield what a distribution with these extras requires on this machine.

    >>> texts = ["a", "b[x]>=3; extra == 'y'", "c; extra == 'z'", "d; python_version < '3'"]
    >>> [requirement.name for requirement in required(texts, frozenset({"y"}))]
    ['a', 'b']
    """
    for requirement in map(Requirement, texts):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            yield requirement


def _follow(
    name: str, extras: frozenset[str], found: dict[str, metadata.Distribution], seen: dict[str, frozenset[str]]
) -> None:
    """Add a distribution and all that it requires here."""
    key = canonicalize_name(name)
    known = seen.get(key)
    if known is not None and extras <= known:
        return
    seen[key] = extras | (known or frozenset())
    try:
        found[key] = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    for wanted in required(found[key].requires or (), seen[key]):
        _follow(wanted.name, frozenset(wanted.extras), found, seen)


def _files(distribution: metadata.Distribution) -> Iterator[tuple[str, Path]]:
    """Yield what lies beside our packages; programs, manual pages and compiled files are not needed."""
    for file in distribution.files or ():
        if ".." not in file.parts and not file.is_absolute() and "__pycache__" not in file.parts:
            yield file.as_posix(), Path(str(file.locate()))


def _is_path_file(file: metadata.PackagePath) -> bool:
    """Whether Python has to run it at its start: editable installations are elsewhere."""
    return len(file.parts) == 1 and file.suffix == ".pth"


def _add(tar: tarfile.TarFile, path: str, file: Path) -> None:
    content = file.read_bytes()
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = len(content), _EPOCH, 0o644
    tar.addfile(info, io.BytesIO(content))
