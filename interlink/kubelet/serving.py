"""The serving certificate of a kubelet and its renewal: signed by the cluster, given as files, or self-signed.

Each kind has `prepare()`, after which there is something to serve with, and `keep()`, which renews until it is
cancelled. `chain` is what new connections are to be served with; a changed one is another object.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from interlink.errors import ConfigError, InterlinkError
from interlink.kubelet import certs, paths
from interlink.kubelet.certs import Names
from interlink.kubelet.kube.errors import ApiError

ANSWER_SECONDS = 10.0
POLL_SECONDS, LONGEST_POLL_SECONDS = 1.0, 30.0  # between two looks at a signing request
REFUSED_SECONDS = 3600.0  # after a denial
FILES_POLL_SECONDS = 5.0
_log = logging.getLogger(__name__)

Now = Callable[[], datetime]


@dataclass(frozen=True)
class Chain:
    """Files that `load_cert_chain` takes; `source` says for people where they come from."""

    certificate: Path
    key: Path
    source: str
    ends: datetime | None = None
    stamp: tuple[int, ...] = ()


class Certificate(Protocol):
    """What a server is served with."""

    @property
    def chain(self) -> Chain: ...

    async def prepare(self) -> None: ...

    async def keep(self) -> None: ...


class Api(Protocol):
    """What is needed of the API server's client (kube.Kube)."""

    async def get(self, path: str, *, timeout: float = ...) -> dict[str, Any]: ...

    async def create(self, path: str, body: Mapping[str, Any], *, timeout: float = ...) -> dict[str, Any]: ...

    async def delete(self, path: str, *, timeout: float = ...) -> dict[str, Any]: ...


class GivenFiles:
    """A certificate and key that somebody else renews; changed files are taken over."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self.chain = Chain(certificate, key, "files")

    async def prepare(self) -> None:
        """Look at the files; ConfigError if they cannot be read."""
        try:
            self.chain = self._look()
        except (OSError, ValueError) as error:
            raise ConfigError(f"the serving certificate cannot be read: {error}") from error

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(FILES_POLL_SECONDS)
            try:
                found = self._look()
            except (OSError, ValueError) as error:  # half written: the next look sees the rest
                _log.warning("the serving certificate cannot be read, the old one is kept: %s", error)
            else:
                self.chain = self.chain if found == self.chain else found

    def _look(self) -> Chain:
        stats = [path.stat() for path in (self._certificate, self._key)]
        stamp = tuple(part for found in stats for part in (found.st_mtime_ns, found.st_ino, found.st_size))
        if stamp == self.chain.stamp:
            return self.chain
        return Chain(self._certificate, self._key, "files", certs.life(self._certificate.read_bytes()).ends, stamp)


class SelfSigned:
    """A certificate of our own making, in `directory` across restarts; clients cannot verify it."""

    def __init__(self, names: Names, directory: Path, now: Now = certs.utcnow) -> None:
        self._names, self._now = names, now
        self._file = directory / f"{names.node}-self-signed.pem"
        self.chain = Chain(self._file, self._file, "self-signed")

    async def prepare(self) -> None:
        """Take the one that is there, or make one."""
        content = _read(self._file)
        now = self._now()
        if not certs.serves(content, content, self._names, now) or _renewal(self._file) <= now:
            key = certs.new_key()
            content = key + certs.self_signed(self._names, key, now)
            write_private(self._file, content)
        self.chain = Chain(self._file, self._file, "self-signed", certs.life(content).ends)

    async def keep(self) -> None:
        while True:
            await _sleep_until(_renewal(self._file), self._now)
            try:
                await self.prepare()
            except (OSError, ValueError) as error:
                _log.warning("node %s: its certificate cannot be renewed: %s", self._names.node, error)
                await asyncio.sleep(LONGEST_POLL_SECONDS)


class Signed:
    """A certificate by a signer of the cluster, once somebody has approved the request; self-signed until then.

    Nothing approves requests by itself: `kubectl certificate approve NAME`, or an approver. The private key of a
    request under way is kept, so that a restart goes on waiting for the same one.
    """

    def __init__(
        self, names: Names, directory: Path, kube: Api, now: Now = certs.utcnow, *, signer: str = certs.SIGNER
    ) -> None:
        self._names, self._kube, self._now, self._signer = names, kube, now, signer
        self._file = directory / f"{names.node}-serving.pem"
        self._next = directory / f"{names.node}-next.key"
        self._meanwhile = SelfSigned(names, directory, now)
        self._chain: Chain | None = None

    @property
    def chain(self) -> Chain:
        return self._chain or self._meanwhile.chain

    async def prepare(self) -> None:
        """Take the certificate of an earlier run if it holds still, else a self-signed one."""
        content = _read(self._file)
        if certs.serves(content, content, self._names, self._now()):
            self._take(content)
        else:
            await self._meanwhile.prepare()

    async def keep(self) -> None:
        while True:
            if self._chain is not None:
                await _sleep_until(_renewal(self._file), self._now)
            try:
                await self._renew()
            except (InterlinkError, OSError, ValueError) as error:
                _log.warning("node %s: no serving certificate from the cluster: %s", self._names.node, error)
                await asyncio.sleep(LONGEST_POLL_SECONDS)

    async def _renew(self) -> None:
        key = _read(self._next)
        if not key:
            key = certs.new_key()
            write_private(self._next, key)
        request = certs.signing_request(self._names, key, self._signer)
        name = request["metadata"]["name"]
        certificate, refused = await self._answer(name, request)
        await self._forget(name)
        self._next.unlink(missing_ok=True)
        if refused:
            _log.error("node %s: %s was %s; another request follows in an hour", self._names.node, name, refused)
            await asyncio.sleep(REFUSED_SECONDS)
            return
        content = key + certificate
        if not certs.serves(content, content, self._names, self._now()):
            raise ValueError(f"the certificate that answers {name} does not fit the request")
        write_private(self._file, content)
        self._take(content)

    async def _answer(self, name: str, request: Mapping[str, Any]) -> tuple[bytes, str]:
        """Wait for a request to be answered, making it if it is not there."""
        pause, asked = POLL_SECONDS, False
        while True:
            try:
                found = await self._kube.get(paths.signing_request(name), timeout=ANSWER_SECONDS)
            except ApiError as error:
                if not error.missing:
                    raise
                found = await self._kube.create(paths.signing_requests(), request, timeout=ANSWER_SECONDS)
            certificate, refused = certs.verdict(found)
            if certificate or refused:
                return certificate, refused
            if not asked:
                asked = True
                _log.warning(
                    "node %s serves with a %s certificate; for one of the cluster: kubectl certificate approve %s",
                    *(self._names.node, self.chain.source, name),
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    async def _forget(self, name: str) -> None:
        """Tidy up; what stays is removed by the cluster within a day."""
        try:
            await self._kube.delete(paths.signing_request(name), timeout=ANSWER_SECONDS)
        except InterlinkError as error:
            _log.debug("the signing request %s stays: %s", name, error)

    def _take(self, content: bytes) -> None:
        self._chain = Chain(self._file, self._file, "signed", certs.life(content).ends)
        _log.info("node %s: the cluster's certificate serves until %s", self._names.node, self._chain.ends)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file at once by one that only we can read; its directory is made 0700 if it is missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _read(path: Path) -> bytes:
    """Return a file's content, nothing if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _renewal(path: Path) -> datetime:
    """Return when a certificate that was written to this file is to be renewed: at once where it is there no more."""
    try:
        received = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
        return certs.life(path.read_bytes()).renewal(received)
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read, and is made anew: %s", path, error)
        return datetime.min.replace(tzinfo=timezone.utc)


async def _sleep_until(moment: datetime, now: Now) -> None:
    """Sleep by short steps, for a machine may be asleep and its clock may be set."""
    while (left := (moment - now()).total_seconds()) > 0:
        await asyncio.sleep(min(left, 600.0))
