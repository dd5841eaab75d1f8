"""Who drives which host: locks that vanish with the process that holds them (decisions.md 4)."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import sqlalchemy as sa

from interlink.ledger.ledger import Ledger


class Leases(Protocol):
    """Exclusive rights by key, for this process. Thread-safe; no call waits for another process."""

    def acquire(self, key: str) -> bool:
        """Take the lease, or find it taken by us; False while another process holds it."""
        ...

    def release(self, key: str) -> None: ...

    def held(self) -> frozenset[str]:
        """Return the keys that are certainly ours now; one that was lost is missing from then on."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class FileLeases:
    """Locks on files of one directory, for processes of one machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, int] = {}
        self._lock = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def acquire(self, key: str) -> bool:
        with self._lock:
            if key in self._files:
                return True
            descriptor = _locked(self._path(key))
            if descriptor is None:
                return False
            self._files[key] = descriptor
            return True

    def release(self, key: str) -> None:
        with self._lock:
            descriptor = self._files.pop(key, None)
            if descriptor is not None:
                self._path(key).unlink(missing_ok=True)
                os.close(descriptor)

    def held(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._files)

    def close(self) -> None:
        for key in self.held():
            self.release(key)

    def _path(self, key: str) -> Path:
        return self._directory / quote(key, safe="")


def _locked(path: Path) -> int | None:
    """Lock the file and return its descriptor; None while another process holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass  # removed by its former holder, whose lock on it is worth nothing
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.close(descriptor)


class PostgresLeases:
    """Session advisory locks on one connection of its own; its loss is the loss of all leases."""

    def __init__(self, ledger: Ledger, scope: str) -> None:
        self._scope = scope
        self._engine = sa.create_engine(
            ledger.engine.url,
            poolclass=sa.pool.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "connect_timeout": 10,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 20_000,
            },
        )
        self._session: sa.Connection | None = None
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    def acquire(self, key: str) -> bool:
        with self._lock:
            if key in self._keys:
                return True
            try:
                if self._session is None:
                    self._session = self._engine.connect()
                taken = self._session.scalar(sa.select(sa.func.pg_try_advisory_lock(self._number(key))))
            except sa.exc.DBAPIError:
                self._lose()
                return False
            if taken:
                self._keys.add(key)
            return bool(taken)

    def release(self, key: str) -> None:
        with self._lock:
            if key not in self._keys or self._session is None:
                return
            self._keys.discard(key)
            try:
                self._session.execute(sa.select(sa.func.pg_advisory_unlock(self._number(key))))
            except sa.exc.DBAPIError:
                self._lose()

    def held(self) -> frozenset[str]:
        with self._lock:
            try:
                if self._session is not None:
                    self._session.execute(sa.text("SELECT 1"))
            except sa.exc.DBAPIError:
                self._lose()
            return frozenset(self._keys)

    def close(self) -> None:
        with self._lock:
            self._lose()
            self._engine.dispose()

    def _lose(self) -> None:
        self._keys.clear()
        if self._session is not None:
            self._session.invalidate()
            self._session.close()
            self._session = None

    def _number(self, key: str) -> int:
        digest = hashlib.sha256(f"interlink/{self._scope}/{key}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)
