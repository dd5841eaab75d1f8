"""Every registry name, seen from the lab's HPC computers, is the lab's registry: python -m tests.lab.hpc.mirror.

Apptainer insists on TLS and knows no mirrors. So this answers DNS on an address (every name is that address) and TLS on
its port 443, with a certificate for whatever name is asked for, and passes the bytes on to the open registry, or to
the one with a password for the names that start with `private.`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.lab.controlplane.pki import Pki

QUESTION, TYPE_A = 12, b"\0\1"  # where the first question starts in a DNS message; the one type that has an answer
PRIVATE = "private."


@dataclass
class Certificates:
    """Server contexts by the name that a client asks for, all signed by the authority in `pki`."""

    pki: Pki
    _made: dict[str, ssl.SSLContext] = field(default_factory=dict)

    def context(self, name: str) -> ssl.SSLContext:
        """The context that answers as `name`."""
        if name not in self._made:
            ca = x509.load_pem_x509_certificate(self.pki.ca.certificate.read_bytes())
            key = serialization.load_pem_private_key(self.pki.ca.key.read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            self.pki.issue(name, x509.Name([]), ca, key, [name])
            self._made[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._made[name].load_cert_chain(self.pki.pair(name).certificate, self.pki.pair(name).key)
        return self._made[name]

    def any(self) -> ssl.SSLContext:
        """A context that becomes the right one once the client has told the name."""

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = self.context(name or "localhost")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = choose
        return context


class Names(asyncio.DatagramProtocol):
    """DNS in which every name has one and the same address."""

    def __init__(self, address: str) -> None:
        self._address = ipaddress.ip_address(address).packed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # which it is, without saying so

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(answer(data, self._address), addr)


def answer(query: bytes, address: bytes) -> bytes:
    """The reply to a DNS query: the address for type A, nothing for any other type."""
    end = query.index(b"\0", QUESTION) + 5  # the name, its type, its class
    known = query[end - 4 : end - 2] == TYPE_A
    record = b"\xc0\x0c" + TYPE_A + b"\0\1" + (60).to_bytes(4, "big") + b"\0\4" + address if known else b""
    return query[:2] + b"\x81\x80\0\1\0" + bytes([known]) + b"\0\0\0\0" + query[QUESTION:end] + record


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until one side ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main(address: str, directory: str, open_port: str, private_port: str) -> None:
    """Serve for ever."""
    asked = Certificates(Pki(Path(directory)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("ssl_object")
        name = next((name for name, made in asked._made.items() if made is connection.context), "")
        port = private_port if name.startswith(PRIVATE) else open_port
        upstream = await asyncio.open_connection(address, int(port))
        await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer))

    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Names(address), (address, 53))
    server = await asyncio.start_server(serve, address, 443, ssl=asked.any())
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
