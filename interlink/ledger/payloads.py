"""Bodies of accepted creates, kept until the host has confirmed the launch (decisions.md 6).

They hold secrets, so they live outside the ledger's rows: with SQLite as 0600 files in a 0700 directory,
with PostgreSQL in a column that is encrypted with a key that never enters the database.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from interlink.errors import ConfigError, NotFound, Unavailable
from interlink.ledger.ledger import Ledger, translated
from interlink.ledger.tables import payloads
from interlink.model.pod import Pod, PodRequest

_NONCE = 12  # bytes, as AES-GCM wants them


class Payloads(Protocol):
    """Requests by UID. `put` returns once the request is durable; `drop` of an unknown one is a success."""

    def put(self, request: PodRequest) -> None: ...

    def get(self, uid: str) -> PodRequest:
        """Return the request; NotFound if it was dropped or never put."""
        ...

    def drop(self, uid: str) -> None: ...

    def uids(self) -> Collection[str]: ...


class FilePayloads:
    """One file a pod in a directory of the state."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)

    def put(self, request: PodRequest) -> None:
        path = self._path(request.pod.uid)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}.new")
        with _full_disk(), _fresh(temporary):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(dump_request(request))
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
            self._sync()

    def get(self, uid: str) -> PodRequest:
        try:
            return load_request(self._path(uid).read_bytes())
        except FileNotFoundError as error:
            raise NotFound(f"the request of pod {uid} is not kept any more") from error

    def drop(self, uid: str) -> None:
        self._path(uid).unlink(missing_ok=True)

    def uids(self) -> list[str]:
        return [unquote(path.stem) for path in self._directory.glob("*.json")]

    def _path(self, uid: str) -> Path:
        return self._directory / f"{quote(uid, safe='')}.json"

    def _sync(self) -> None:
        """Make the rename durable."""
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class TablePayloads:
    """An encrypted column, which several servers with the same key file share."""

    def __init__(self, ledger: Ledger, key_file: Path) -> None:
        self._ledger = ledger
        key = _key(key_file)
        self._cipher = AESGCM(key)
        self._agree_on_key(key, key_file)

    def put(self, request: PodRequest) -> None:
        uid = request.pod.uid
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, dump_request(request), uid.encode())
        with translated(), self._ledger.engine.begin() as connection:
            connection.execute(sa.delete(payloads).where(payloads.c.uid == uid))
            connection.execute(sa.insert(payloads).values(uid=uid, body=sealed))

    def get(self, uid: str) -> PodRequest:
        with translated(), self._ledger.engine.connect() as connection:
            sealed = connection.scalar(sa.select(payloads.c.body).where(payloads.c.uid == uid))
        if sealed is None:
            raise NotFound(f"the request of pod {uid} is not kept any more")
        try:
            return load_request(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], uid.encode()))
        except InvalidTag as error:
            raise NotFound(f"the request of pod {uid} cannot be decrypted") from error

    def drop(self, uid: str) -> None:
        with translated(), self._ledger.engine.begin() as connection:
            connection.execute(sa.delete(payloads).where(payloads.c.uid == uid))

    def uids(self) -> list[str]:
        with translated(), self._ledger.engine.connect() as connection:
            return list(connection.scalars(sa.select(payloads.c.uid)))

    def _agree_on_key(self, key: bytes, file: Path) -> None:
        """Refuse to mix keys: what one server accepts, another must be able to launch."""
        ours = hashlib.sha256(b"interlink payload key" + key).hexdigest()
        if self._ledger.agree("payload-key", ours) != ours:
            raise ConfigError(
                f"the ledger's payloads are encrypted with another key than {file}; "
                "copy the key file of the server that made the ledger there"
            )


def dump_request(request: PodRequest) -> bytes:
    body = {
        "pod": request.pod.raw,
        "configmaps": request.configmaps,
        "secrets": request.secrets,
        "projected": request.projected,
        "job_script": request.job_script,
        "resolved": request.resolved,
        "origin": request.origin,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def load_request(body: bytes) -> PodRequest:
    data = json.loads(body)
    return PodRequest(
        Pod(data["pod"]),
        configmaps=tuple(data["configmaps"]),
        secrets=tuple(data["secrets"]),
        projected=tuple(data["projected"]),
        job_script=data["job_script"],
        resolved=data.get("resolved", False),
        origin=data.get("origin", ""),
    )


def _key(file: Path) -> bytes:
    """Return the key in `file`, which is made if it is not there."""
    with suppress(FileExistsError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
            new.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
            new.flush()
            os.fsync(new.fileno())
    if file.stat().st_mode & 0o077:
        raise ConfigError(f"the key file {file} can be read by others; chmod 600 {file}")
    key = base64.b64decode(file.read_bytes())
    if len(key) != 32:
        raise ConfigError(f"the key file {file} does not hold 32 bytes in base64")
    return key


@contextmanager
def _fresh(temporary: Path) -> Iterator[None]:
    """Leave nothing behind when writing fails."""
    try:
        yield
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the request cannot be kept: {error.strerror} ({error.filename})") from error
