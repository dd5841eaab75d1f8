"""The serving certificate: its forms, its request, its renewal on a server that goes on listening."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from interlink.errors import ConfigError
from interlink.kubelet import certs, serving
from interlink.kubelet.auth import Callers
from interlink.kubelet.certs import Names
from interlink.kubelet.kube.errors import ApiError
from interlink.kubelet.server import KubeletServer, Listen, Node
from interlink.kubelet.serving import Certificate, GivenFiles, SelfSigned, Signed
from tests.unit.kubelet.serverkit import Api, Authority, Backend

NAMES = Names("vk-1", ("10.0.0.7", "host.example.org"))
NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


class Signer:
    """The API server's certificates: requests wait until `approve` is set, and are signed for `life` then."""

    def __init__(self, life: timedelta = timedelta(days=1), *, approve: bool = True) -> None:
        self.authority, self.life, self.approve = Authority(), life, approve
        self.denied = ""
        self.requests: dict[str, dict[str, Any]] = {}
        self.made: list[str] = []

    async def get(self, path: str, *, timeout: float = 0) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        if name not in self.requests:
            raise ApiError(404, "NotFound", "no such request")
        request = self.requests[name]
        if self.denied:
            return {**request, "status": {"conditions": [{"type": "Denied", "message": self.denied}]}}
        if not self.approve:
            return {**request, "status": {}}
        signed = self.authority.answer(request, self.life)
        return {**request, "status": {"certificate": base64.b64encode(signed).decode()}}

    async def create(self, path: str, body: Mapping[str, Any], *, timeout: float = 0) -> dict[str, Any]:
        name = body["metadata"]["name"]
        self.made.append(name)
        self.requests[name] = dict(body)
        return dict(body)

    async def delete(self, path: str, *, timeout: float = 0) -> dict[str, Any]:
        del self.requests[path.rpartition("/")[2]]
        return {}


@contextlib.asynccontextmanager
async def listening(certificate: Certificate) -> AsyncIterator[KubeletServer]:
    api = Api()
    server = KubeletServer(Node("vk-1", [], Backend()), api, Callers(api), certificate, Listen("127.0.0.1", 0))
    await server.start()
    try:
        yield server
    finally:
        await server.close()
        await asyncio.sleep(0.05)


async def shown(server: KubeletServer) -> x509.Certificate:
    """Return the certificate that a new connection is served with."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return x509.load_der_x509_certificate(der)


async def until(condition: Any, seconds: float = 120) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not await condition():
        assert loop.time() < end, "not in time"
        await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at requests and files often."""
    monkeypatch.setattr(serving, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(serving, "LONGEST_POLL_SECONDS", 0.05)
    monkeypatch.setattr(serving, "FILES_POLL_SECONDS", 0.05)


def test_the_request_is_what_the_signer_insists_on() -> None:
    key = certs.new_key()
    request = certs.signing_request(NAMES, key)
    assert request["spec"]["signerName"] == "kubernetes.io/kubelet-serving"
    assert request["spec"]["usages"] == ["digital signature", "server auth"]
    read = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    assert read.is_signature_valid
    said = [(part.oid, part.value) for part in read.subject]
    assert said == [(NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, "system:node:vk-1")]
    alternatives = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == ["host.example.org", "vk-1"]
    assert [str(ip) for ip in alternatives.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]


def test_the_name_of_a_request_follows_from_key_and_names() -> None:
    key = certs.new_key()
    name = certs.signing_request(NAMES, key)["metadata"]["name"]
    assert name == certs.signing_request(Names("vk-1", ("host.example.org", "10.0.0.7")), key)["metadata"]["name"]
    assert name != certs.signing_request(NAMES, certs.new_key())["metadata"]["name"]
    assert name != certs.signing_request(Names("vk-1", ("10.0.0.8",)), key)["metadata"]["name"]
    other = certs.signing_request(NAMES, key, "example.org/serving")
    assert other["metadata"]["name"] != name
    assert other["spec"]["signerName"] == "example.org/serving"
    assert len(certs.signing_request(Names("n" * 250), key)["metadata"]["name"]) <= 253


def test_a_long_name_is_no_obstacle() -> None:
    names = Names(("a" * 60 + ".") * 4 + "b")
    key = certs.new_key()
    assert certs.serves(certs.self_signed(names, key, NOW), key, names, NOW)
    assert certs.signing_request(names, key)["spec"]["request"]


@pytest.mark.parametrize(
    ("names", "now", "serves"),
    [
        (NAMES, NOW, True),
        (Names("vk-1", ("10.0.0.7",)), NOW, True),
        (Names("vk-1", ("10.0.0.8",)), NOW, False),
        (Names("vk-2"), NOW, False),
        (NAMES, NOW + timedelta(days=366), False),
        (NAMES, NOW - timedelta(days=1), False),
    ],
)
def test_a_certificate_serves_its_names_in_its_time(names: Names, now: datetime, serves: bool) -> None:
    key = certs.new_key()
    made = certs.self_signed(NAMES, key, NOW)
    assert certs.serves(made, key, names, now) is serves
    assert not certs.serves(made, certs.new_key(), names, now)
    assert not certs.serves(b"", b"", names, now)


@pytest.mark.parametrize(
    ("received", "renewal"),
    [
        (-1.0, 8.0),  # before it began, by a clock that goes wrong
        (0.0, 8.0),
        (5.0, 9.0),  # it was dated back: of the part that is left
        (11.0, 10.0),
    ],
)
def test_renewal_is_due_at_80_per_cent_of_life(received: float, renewal: float) -> None:
    life = certs.Life(NOW, NOW + timedelta(hours=10))
    assert life.renewal(NOW + timedelta(hours=received)) == NOW + timedelta(hours=renewal)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, (b"", "")),
        ({"conditions": [{"type": "Approved"}]}, (b"", "")),
        ({"certificate": "UEVN", "conditions": [{"type": "Approved"}]}, (b"PEM", "")),
        ({"conditions": [{"type": "Denied", "reason": "No", "message": "not you"}]}, (b"", "denied: not you")),
        (
            {"conditions": [{"type": "Failed", "reason": "SignerValidationFailure"}]},
            (b"", "failed: SignerValidationFailure"),
        ),
    ],
)
def test_what_becomes_of_a_request(status: dict[str, Any], said: tuple[bytes, str]) -> None:
    assert certs.verdict({"status": status}) == said


def test_self_signed_until_approved_then_signed_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "state"

    async def main() -> None:
        signer = Signer(approve=False)
        async with listening(Signed(NAMES, directory, signer)) as server:
            first = await shown(server)
            assert first.issuer == first.subject
            assert server.certificate.chain.source == "self-signed"
            await until(lambda: said(signer.requests))
            (name,) = signer.requests
            assert f"kubectl certificate approve {name}" in caplog.text
            signer.approve = True
            await until(lambda: issued(server, signer))
            assert signer.requests == {}  # tidied up
        for file in directory.iterdir():
            assert file.stat().st_mode & 0o777 == 0o600, file
        assert directory.stat().st_mode & 0o777 == 0o700
        assert not list(directory.glob("*next*"))
        async with listening(Signed(NAMES, directory, signer)) as again:
            assert await issued(again, signer)
        assert len(signer.made) == 1

    asyncio.run(main())


async def said(requests: Any) -> bool:
    return bool(requests)


async def issued(server: KubeletServer, signer: Signer) -> bool:
    return (await shown(server)).issuer == signer.authority.certificate.subject


def test_a_restart_goes_on_waiting_for_the_same_request(tmp_path: Path) -> None:
    async def main() -> None:
        signer = Signer(approve=False)
        for _ in range(3):
            async with listening(Signed(NAMES, tmp_path, signer)):
                await until(lambda: said(signer.requests))
        assert len(signer.made) == 1

    asyncio.run(main())


def test_a_request_that_was_removed_is_made_again(tmp_path: Path) -> None:
    async def main() -> None:
        signer = Signer(approve=False)
        async with listening(Signed(NAMES, tmp_path, signer)):
            await until(lambda: said(signer.requests))
            signer.requests.clear()
            await until(lambda: said(signer.requests))

    asyncio.run(main())


def test_a_certificate_is_renewed_while_the_server_listens(tmp_path: Path) -> None:
    async def main() -> None:
        signer = Signer(timedelta(seconds=3))
        async with listening(Signed(NAMES, tmp_path, signer)) as server:
            await until(lambda: issued(server, signer))
            serials = set()

            async def renewed() -> bool:
                serials.add((await shown(server)).serial_number)
                return len(serials) >= 3

            await until(renewed, 40)
        assert len(set(signer.made)) >= 3  # each with a key of its own

    asyncio.run(main())


def test_a_denied_request_leaves_the_self_signed_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        signer = Signer()
        signer.denied = "not you"
        async with listening(Signed(NAMES, tmp_path, signer)) as server:
            await until(lambda: logged(caplog, "denied: not you"))
            assert (await shown(server)).issuer == (await shown(server)).subject
            await asyncio.sleep(0.3)
        assert len(signer.made) == 1  # the next one has an hour's time

    asyncio.run(main())


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text


def test_given_files_are_taken_over_when_they_change(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def write(names: Names) -> None:
        private = certs.new_key()
        key.write_bytes(private)
        certificate.write_bytes(certs.self_signed(names, private, datetime.now(timezone.utc)))

    async def main() -> None:
        write(NAMES)
        async with listening(GivenFiles(certificate, key)) as server:
            first = (await shown(server)).serial_number
            certificate.write_text("half of a certif")

            async def noticed() -> bool:
                return (await shown(server)).serial_number == first

            await until(noticed)
            write(NAMES)

            async def changed() -> bool:
                return (await shown(server)).serial_number != first

            await until(changed)

    asyncio.run(main())


class Stumbling(GivenFiles):
    """Renewal ends by a defect, again and again."""

    times = 0

    async def keep(self) -> None:
        self.times += 1
        raise RuntimeError(f"stumbled {self.times} times")


def test_a_defect_of_the_renewal_is_told_and_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("interlink.kubelet.server.KEEP_AGAIN_SECONDS", 0.01)
    key = certs.new_key()
    (tmp_path / "pem").write_bytes(key + certs.self_signed(NAMES, key, datetime.now(timezone.utc)))
    made = Stumbling(tmp_path / "pem", tmp_path / "pem")

    async def main() -> None:
        async with listening(made):
            await until(lambda: logged(caplog, "stumbled 3 times"))

    asyncio.run(main())
    assert "the serving certificate of vk-1 is not renewed" in caplog.text


def test_a_certificate_whose_file_is_gone_is_due_at_once(tmp_path: Path) -> None:
    assert serving._renewal(tmp_path / "gone.pem") < datetime.now(timezone.utc)


def test_given_files_that_are_missing_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        asyncio.run(GivenFiles(tmp_path / "no.crt", tmp_path / "no.key").prepare())


def test_a_key_of_another_certificate_is_a_mistake(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(certs.self_signed(NAMES, certs.new_key(), datetime.now(timezone.utc)))
    key.write_bytes(certs.new_key())

    async def main() -> None:
        with pytest.raises(ConfigError, match="cannot be used"):
            async with listening(GivenFiles(certificate, key)):
                pass

    asyncio.run(main())


def test_self_signed_is_kept_across_restarts_and_replaced_for_other_names(tmp_path: Path) -> None:
    def serial(names: Names) -> int:
        made = SelfSigned(names, tmp_path)
        asyncio.run(made.prepare())
        return x509.load_pem_x509_certificate(made.chain.certificate.read_bytes()).serial_number

    first = serial(NAMES)
    assert serial(NAMES) == first
    assert serial(Names("vk-1", ("10.9.9.9",))) != first


def test_private_files_never_were_readable_by_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        serving.write_private(tmp_path / "new" / "key", b"secret")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key"]
