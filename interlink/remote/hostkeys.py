"""Pinned host keys: reading known_hosts files, refusing what is not in them, and pinning."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey

from interlink.errors import ConfigError, HostKeyRejected


@dataclass(frozen=True)
class OfferedKey:
    """A host key as known_hosts writes it: the name is `host` or `[host]:port`."""

    name: str
    type: str
    base64: str
    known: bool = False

    @property
    def fingerprint(self) -> str:
        return fingerprint(base64.b64decode(self.base64))

    @property
    def line(self) -> str:
        return f"{self.name} {self.type} {self.base64}\n"


def known_name(host: str, port: int) -> str:
    """Return the name under which known_hosts files list a host."""
    return host if port == 22 else f"[{host}]:{port}"


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as `ssh-keygen -l` prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")
    return f"SHA256:{digest}"


def default_files(own: Path) -> tuple[Path, ...]:
    """Return our own file, the user's and the system's; the first that names a host decides."""
    return own, Path("~/.ssh/known_hosts").expanduser(), Path("/etc/ssh/ssh_known_hosts")


def load(files: Iterable[Path]) -> HostKeys:
    """Read known_hosts files; missing ones are empty.

    Of several files the first one with a key of the host counts. @cert-authority lines are passed over
    (paramiko cannot check them); a key that is @revoked in any file is removed.
    """
    keys = HostKeys()
    revoked: set[str] = set()
    for path in files:
        entries, bad = _read(path)
        revoked |= bad
        decided = set(keys)
        for entry in entries:
            for name in set(entry.hostnames or ()) - decided:
                keys.add(name, entry.key.get_name(), entry.key)
    return _without(keys, revoked) if revoked else keys


def _read(path: Path) -> tuple[list[HostKeyEntry], set[str]]:
    """Return a file's keys, and the base64 of its @revoked ones."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return [], set()
    except OSError as error:
        raise ConfigError(f"cannot read the pinned host keys: {error.strerror}", file=str(path)) from error
    entries: list[HostKeyEntry] = []
    revoked: set[str] = set()
    for number, text in enumerate(lines, 1):
        line = text.strip()
        if line.startswith("@revoked"):
            revoked.update(line.split()[3:4])
        elif line and line[0] not in "#@":
            try:
                entry = HostKeyEntry.from_line(line, number)
            except (InvalidHostKey, paramiko.SSHException, ValueError) as error:
                raise ConfigError("this is no host key", file=str(path), line=number) from error
            if entry is not None and entry.key is not None:
                entries.append(entry)
    return entries, revoked


def _without(keys: HostKeys, revoked: set[str]) -> HostKeys:
    kept = HostKeys()
    for name in keys:
        for kind, key in (keys.lookup(name) or {}).items():
            if key.get_base64() not in revoked:
                kept.add(name, kind, key)
    return kept


class Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Refuses a host without a pinned key, and says how a human can trust it."""

    def __init__(self, host: str) -> None:
        self._host = host

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise HostKeyRejected(
            f"host {self._host}: the key of {hostname} is not known: {describe(key)}. "
            f"Compare it with the host's own, then trust it by: interlink hosts.trust {self._host}"
        )


def changed(host: str, error: paramiko.BadHostKeyException, port: int) -> HostKeyRejected:
    """Return the error for a key that differs from the pinned one."""
    return HostKeyRejected(
        f"host {host}: THE KEY OF {known_name(error.hostname, port)} HAS CHANGED: "
        f"it was {describe(error.expected_key)}, "
        f"now it is {describe(error.key)}. Somebody may be listening in, or the host was installed anew. "
        f"If you know that it was, replace the pinned key by: interlink hosts.trust --replace {host}"
    )


def describe(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {fingerprint(key.asbytes())}"


def pin(path: Path, keys: Sequence[OfferedKey]) -> None:
    """Write the keys into a known_hosts file (0600), in place of others of the same names; atomic."""
    names = {key.name for key in keys}
    kept = [line for line in _lines(path) if not names.intersection(_names(line))]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:  # mkstemp makes it 0600
            file.writelines([*kept, *(key.line for key in keys)])
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _lines(path: Path) -> list[str]:
    try:
        return [f"{line}\n" for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def _names(line: str) -> list[str]:
    return line.split(maxsplit=1)[0].split(",") if line.strip() and line[0] not in "#@" else []
