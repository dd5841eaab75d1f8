"""Keys and certificates of one control plane: one authority for everything, made anew for each directory."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVICE_IP = "10.96.0.1"  # the first of the services' addresses: `kubernetes.default`
LIFE = datetime.timedelta(days=365)
SIGNING = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Pki:
    """The files in a directory; `make()` fills it."""

    directory: Path

    def pair(self, name: str) -> Pair:
        """The certificate and key of ca, apiserver, admin, kubelet-client, controllers or scheduler."""
        return Pair(self.directory / f"{name}.crt", self.directory / f"{name}.key")

    @property
    def ca(self) -> Pair:
        return self.pair("ca")

    @property
    def tokens(self) -> Pair:
        """The key pair of service-account tokens; its `certificate` is a bare public key."""
        return Pair(self.directory / "tokens.pub", self.directory / "tokens.key")

    def make(self) -> None:
        """Write all keys and certificates."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("lab-ca")
        builder = _builder(name, name, key).add_extension(x509.BasicConstraints(True, None), critical=True)
        ca = builder.add_extension(SIGNING, critical=True).sign(key, hashes.SHA256())
        self._write("ca", ca, key)
        names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        self.issue("apiserver", _name("kube-apiserver"), ca, key, [*names, "127.0.0.1", SERVICE_IP])
        self.issue("admin", _name("admin", "system:masters"), ca, key)
        self.issue("kubelet-client", _name("kube-apiserver-kubelet-client", "system:masters"), ca, key)
        self.issue("controllers", _name("system:kube-controller-manager"), ca, key)
        self.issue("scheduler", _name("system:kube-scheduler"), ca, key)
        signer = ec.generate_private_key(ec.SECP256R1())
        _secret(self.tokens.key, _pem(signer))
        self.tokens.certificate.write_bytes(
            signer.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def issue(
        self,
        name: str,
        subject: x509.Name,
        ca: x509.Certificate,
        ca_key: ec.EllipticCurvePrivateKey,
        sans: Sequence[str] = (),
    ) -> None:
        """Make a key and a certificate for clients and servers alike."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        builder = _builder(subject, ca.subject, key).add_extension(usage, critical=False)
        builder = builder.add_extension(issuer, critical=False)
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName([_san(san) for san in sans]), critical=False)
        self._write(name, builder.sign(ca_key, hashes.SHA256()), key)

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        pair = self.pair(name)
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _secret(pair.key, _pem(key))


def _name(common: str, organisation: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _san(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _secret(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
