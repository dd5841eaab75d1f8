"""A kubelet server on loopback with an authority of the test's own, a scripted API server and a scripted backend."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from interlink.kubelet import certs
from interlink.kubelet.auth import Callers
from interlink.kubelet.certs import Names
from interlink.kubelet.kube.errors import ApiError
from interlink.kubelet.server import KubeletServer, Listen, Node
from interlink.kubelet.serving import SelfSigned
from interlink.model.driver import LogQuery, PodRecord
from interlink.model.status import ContainerStatus, Phase, PodStatus, Running
from interlink.model.usage import NodeUsage

NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
POD: dict[str, Any] = {
    "metadata": {"uid": "u1", "namespace": "ns", "name": "web"},
    "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}]},
}


OLD = {"metadata": {**POD["metadata"], "uid": "u9", "name": "old"}, "spec": POD["spec"], "status": {"phase": "Failed"}}


class Authority:
    """A certificate authority."""

    def __init__(self, name: str = "test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, ca=True, life=timedelta(days=1))

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def client(self, path: Path, name: str, *groups: str) -> Path:
        """Write a client's certificate and key as one PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._sign(subject, key, ca=False, life=timedelta(hours=1))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        return path

    def answer(self, request: Mapping[str, Any], life: timedelta) -> bytes:
        """Sign a CertificateSigningRequest."""
        import base64

        asked = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        made = self._sign(asked.subject, asked.public_key(), ca=False, life=life, names=names)
        return made.public_bytes(serialization.Encoding.PEM)

    def _sign(self, subject: x509.Name, key: Any, *, ca: bool, life: timedelta, names: Any = None) -> x509.Certificate:
        now = datetime.now(timezone.utc)
        public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1) if life > timedelta(minutes=1) else now)
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


@dataclass
class Api:
    """An API server that knows one authority, some tokens and some rights; `down` makes every request fail."""

    authority: str = ""
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    allowed: Callable[[dict[str, Any]], bool] = lambda spec: True
    down: bool = False
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def get(self, path: str, *, timeout: float = 0) -> dict[str, Any]:
        self._ask("get", {"path": path})
        return {"data": {"client-ca-file": self.authority}} if self.authority else {"data": {}}

    async def create(self, path: str, body: Mapping[str, Any], *, timeout: float = 0) -> dict[str, Any]:
        self._ask(str(body["kind"]), body["spec"])
        if body["kind"] == "TokenReview":
            user = self.tokens.get(body["spec"]["token"])
            return {"status": {"authenticated": user is not None, "user": user or {}}}
        return {"status": {"allowed": self.allowed(body["spec"])}}

    def count(self, kind: str) -> int:
        return sum(asked == kind for asked, _ in self.asked)

    def _ask(self, kind: str, spec: dict[str, Any]) -> None:
        self.asked.append((kind, spec))
        if self.down:
            raise ApiError(503, "", "down")


@dataclass
class Backend:
    """Runs one pod; its log is `chunks`, after which it stays open while `following` is set."""

    chunks: list[bytes] = field(default_factory=list)
    following: bool = False
    error: Exception | None = None
    broken: Exception | None = None
    usage: NodeUsage | None = None
    open: int = 0
    queries: list[LogQuery] = field(default_factory=list)
    records: list[PodRecord] = field(default_factory=lambda: [record()])

    def job(self, uid: str) -> PodRecord | None:
        return next((item for item in self.records if item.uid == uid), None)

    def jobs(self) -> Collection[PodRecord]:
        return self.records

    async def stats(self, node: str) -> NodeUsage | None:
        if self.error:
            raise self.error
        return self.usage

    @contextlib.asynccontextmanager
    async def logs(self, query: LogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        self.queries.append(query)
        if self.error:
            raise self.error
        self.open += 1
        try:
            yield self._chunks()
        finally:
            self.open -= 1

    async def _chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.broken:
            raise self.broken
        while self.following:
            await asyncio.sleep(0.01)
            yield b"tick\n"


def record(**changes: Any) -> PodRecord:
    container = ContainerStatus("c", image="busybox:1.36", container_id="docker://1", state=Running(NOW))
    status = PodStatus("u1", "ns", "web", phase=Phase.RUNNING, containers=(container,))
    return PodRecord(
        **{
            **{"uid": "u1", "namespace": "ns", "name": "web", "node": "n1", "host": "h"},
            "target": "run",
            "status": status,
            **changes,
        }
    )


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, api: Api, backend: Backend, **node: Any) -> AsyncIterator[KubeletServer]:
    callers = Callers(api)
    await callers.read_authority()
    certificate = SelfSigned(Names("n1", ("127.0.0.1",)), tmp_path / "certs")
    about = Node("n1", [POD, OLD], backend, **node)
    server = KubeletServer(about, api, callers, certificate, Listen("127.0.0.1", 0))
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def client(port: int, *, pem: Path | None = None, token: str = "") -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pem:
        context.load_cert_chain(pem)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=connector, headers=headers) as session:
        yield session


__all__ = ["NOW", "POD", "Api", "Authority", "Backend", "certs", "client", "record", "serving"]
