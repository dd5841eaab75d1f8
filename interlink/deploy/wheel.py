"""A wheel of the very interLink that runs here, to install it elsewhere: no checkout, no build tools, no network.

The same files give the same bytes, so that its hash tells whether a machine has this version already.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from interlink.errors import ConfigError

_NAME = "interlink"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: interlink\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True)
class Wheel:
    """A wheel's file name and content."""

    version: str
    content: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return f"{_NAME}-{self.version}-py3-none-any.whl"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def build() -> Wheel:
    """Return the wheel of this process' own package."""
    distribution = metadata.distribution(_NAME)
    scripts = distribution.read_text("entry_points.txt")
    described = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    if not scripts or not described:
        raise ConfigError("interLink is not installed here, only lying about: pip install it into this Python first")
    info = f"{_NAME}-{distribution.version}.dist-info"
    files = dict(_package(Path(__file__).parents[1], _NAME))
    files[f"{info}/METADATA"] = described.encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    files[f"{info}/entry_points.txt"] = scripts.encode()
    return Wheel(distribution.version, pack(files, f"{info}/RECORD"))


def pack(files: dict[str, bytes], record: str) -> bytes:
    """Return a zip of the files, with their hashes in `record`."""
    rows = [f"{name},sha256={_hash(data)},{len(data)}" for name, data in sorted(files.items())]
    listed = "\n".join([*rows, f"{record},,", ""]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*sorted(files.items()), (record, listed)]:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()


def _package(directory: Path, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in directory.iterdir():
        if entry.name == "__pycache__" or entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _package(entry, f"{path}/{entry.name}")
        else:
            yield f"{path}/{entry.name}", entry.read_bytes()


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
