"""Credentials on our side: private keys, short-lived certificates, and the hook that renews them."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from interlink.errors import LoginRefused

_FOREVER = 2**64 - 1
_HOOK_TIMEOUT = 120.0


def certificate_expiry(key_file: str | Path) -> datetime | None:
    """Return when the certificate beside a private key (`<key>-cert.pub`) ends; None without one or without end."""
    path = certificate_of(key_file)
    try:
        identity = load_ssh_public_identity(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(identity, SSHCertificate) or identity.valid_before >= _FOREVER:
        return None
    # A certificate may say "until year 584 million"; datetime ends in 9999.
    return datetime.fromtimestamp(min(identity.valid_before, 253402300799), timezone.utc)


def expired(end: datetime) -> bool:
    return end <= datetime.now(timezone.utc)


def certificate_of(key_file: str | Path) -> Path:
    """Return the path of a key's certificate; a path of a certificate is returned as it is."""
    path = Path(key_file).expanduser()
    return path if path.name.endswith("-cert.pub") else path.with_name(f"{path.name}-cert.pub")


def plain_keys(key_files: Iterable[str | Path]) -> Iterator[paramiko.PKey]:
    """Load without it each key that has a certificate beside it."""
    for file in key_files:
        path = Path(file).expanduser()
        if path != certificate_of(path) and certificate_of(path).exists():
            for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
                with suppress(paramiko.SSHException, OSError, ValueError):
                    yield kind.from_private_key_file(str(path))


def earliest_expiry(key_files: Iterable[str | Path]) -> datetime | None:
    """Return the first end among the keys' certificates."""
    ends = [end for end in map(certificate_expiry, key_files) if end is not None]
    return min(ends, default=None)


def check_key(host: str, key_file: str) -> None:
    """Raise LoginRefused for a private key that ssh would not use either, saying what to do."""
    path = Path(key_file).expanduser()
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except FileNotFoundError:
        raise LoginRefused(f"host {host}: the private key {path} does not exist") from None
    except OSError as error:
        raise LoginRefused(f"host {host}: cannot read the private key {path}: {error.strerror}") from error
    if mode & 0o077:
        raise LoginRefused(f"host {host}: the private key {path} is open to others (mode {mode:04o}); chmod 600 {path}")


def stamp(files: Iterable[str | Path]) -> tuple[int, ...]:
    """Return what changes when one of the files does; an absent file is 0."""
    stamps = []
    for file in files:
        try:
            stamps.append(Path(file).expanduser().stat().st_mtime_ns)
        except OSError:
            stamps.append(0)
    return tuple(stamps)


class Renewal:
    """Runs hooks that renew credentials: each once before the first login, and again before a certificate ends.

    One per pool, since many hosts share one credential. What a hook prints is never shown or logged.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, ...], threading.Lock] = {}
        self._ran_at: dict[tuple[str, ...], float] = {}

    def ensure(self, host: str, command: Sequence[str], key_files: Sequence[str], margin: float) -> None:
        """Run the hook if it is due; LoginRefused if it fails. `margin` in seconds before the certificate's end."""
        key = tuple(command)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if self.due(command, key_files, margin):
                self._run(host, key)
                self._ran_at[key] = time.monotonic()

    def due(self, command: Sequence[str], key_files: Sequence[str], margin: float) -> bool:
        """Say whether the hook has never run, or a certificate ends soon and a minute has passed since it ran."""
        ran_at = self._ran_at.get(tuple(command))
        if ran_at is None:
            return True
        end = earliest_expiry(key_files)
        soon = end is not None and end - datetime.now(timezone.utc) < timedelta(seconds=margin)
        return soon and time.monotonic() - ran_at > min(60.0, margin / 2)

    def _run(self, host: str, command: tuple[str, ...]) -> None:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_HOOK_TIMEOUT,
                check=False,
                env=self._environment,
            )
        except subprocess.TimeoutExpired as error:
            raise LoginRefused(
                f"host {host}: the credential command {command[0]} did not end in {_HOOK_TIMEOUT:g} s"
            ) from error
        except OSError as error:
            raise LoginRefused(f"host {host}: the credential command {command[0]}: {error.strerror}") from error
        if done.returncode != 0:
            raise LoginRefused(f"host {host}: the credential command {command[0]} ended with {done.returncode}")
