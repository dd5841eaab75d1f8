"""Keys, certificates and signing requests of a kubelet's server; pure but for the randomness of keys.

The form of the request is what the signer kubernetes.io/kubelet-serving insists on: CN system:node:<name>, exactly
O system:nodes, at least one DNS or IP subject alternative name, and no usages beyond serving.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNER = "kubernetes.io/kubelet-serving"
RENEW_AT = 0.8  # of its life
SELF_SIGNED_DAYS = 365
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Names:
    """Whose certificate it is: the node, and how it is dialled (IP addresses and DNS names)."""

    node: str
    addresses: tuple[str, ...] = ()

    @property
    def alternatives(self) -> list[x509.GeneralName]:
        return [_alternative(address) for address in dict.fromkeys((*self.addresses, self.node))]


@dataclass(frozen=True)
class Life:
    """From when to when a certificate holds."""

    begins: datetime
    ends: datetime

    def renewal(self, received: datetime) -> datetime:
        """Return when to renew, by the part of its life that we have it: the cluster's signer dates back by minutes."""
        begins = max(self.begins, min(received, self.ends))
        return begins + RENEW_AT * (self.ends - begins)


def new_key() -> bytes:
    """Return a new private key (P-256, PKCS #8) as PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def self_signed(names: Names, key: bytes, now: datetime) -> bytes:
    """Return a certificate as PEM that nobody but itself vouches for."""
    private = _private(key)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "interLink, self-signed"),
            x509.NameAttribute(NameOID.COMMON_NAME, names.node[:64]),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names.alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def signing_request(names: Names, key: bytes, signer: str = SIGNER) -> dict[str, Any]:
    """Return a CertificateSigningRequest; the same names, key and signer always give one of the same name."""
    private = _private(key)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            _common_name(f"system:node:{names.node}"),
        ]
    )
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.SubjectAlternativeName(names.alternatives), critical=False)
        .sign(private, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": _request_name(names, private, signer)},
        "spec": {
            "signerName": signer,
            "request": base64.b64encode(request).decode(),
            "usages": ["digital signature", "server auth"],
        },
    }


def life(certificate: bytes) -> Life:
    """Return when the first certificate of a PEM holds; ValueError if there is none."""
    read = x509.load_pem_x509_certificate(certificate)
    return Life(read.not_valid_before_utc, read.not_valid_after_utc)


def serves(certificate: bytes, key: bytes, names: Names, now: datetime) -> bool:
    """Say whether the certificate is the key's, holds now, and covers all names."""
    try:
        read = x509.load_pem_x509_certificate(certificate)
        public = _private(key).public_key()
        covered = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    holds = read.not_valid_before_utc <= now < read.not_valid_after_utc
    return holds and read.public_key() == public and set(names.alternatives) <= set(covered)


def verdict(request: dict[str, Any]) -> tuple[bytes, str]:
    """Return what has become of a CertificateSigningRequest: its certificate, or why there will be none.

    Both are empty while it waits.
    """
    status = request.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Denied", "Failed"):
            said = condition.get("message") or condition.get("reason") or ""
            return b"", f"{condition['type'].lower()}: {said}"
    return base64.b64decode(status.get("certificate") or ""), ""


def utcnow() -> datetime:
    return datetime.now(timezone.utc)


def _common_name(name: str) -> x509.NameAttribute[str]:
    """Return a CN of any length: the signer wants the node's whole name, where X.520 has room for 64 characters."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attribute's length", category=UserWarning)
        return x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False)


def _request_name(names: Names, private: ec.EllipticCurvePrivateKey, signer: str) -> str:
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    said = "\0".join([signer, names.node, *_sorted(names.addresses)]).encode()
    return f"interlink-{names.node[:200]}-{hashlib.sha256(public + said).hexdigest()[:10]}"


def _sorted(addresses: Sequence[str]) -> list[str]:
    return sorted(set(addresses))


def _alternative(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    private = serialization.load_pem_private_key(key, password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key of ours")
    return private
