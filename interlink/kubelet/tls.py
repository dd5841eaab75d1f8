"""The TLS of a kubelet's server: certificate and client authority may change while it listens."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

from interlink.kubelet.serving import Chain

_log = logging.getLogger(__name__)


class LiveTls:
    """`context` is for the listener; each handshake is served by what `chain` and `authority` say then.

    A client may come without a certificate, or with one that the authority vouches for: with any other the
    handshake fails. Sessions are not resumed, so that every connection is judged by the present authority.
    """

    def __init__(self, chain: Callable[[], Chain], authority: Callable[[], str]) -> None:
        self._chain, self._authority = chain, authority
        self._made_of = (chain(), authority())
        self.context = self._current = self._made()
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        made_of = (self._chain(), self._authority())
        if made_of != self._made_of:
            before, self._made_of = self._made_of, made_of
            try:
                self._current = self._made()
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                self._made_of = before
                _log.error("the new certificate or authority cannot be used, the old one is kept: %s", error)
        connection.context = self._current
        return None

    def _made(self) -> ssl.SSLContext:
        chain, authority = self._made_of
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_cert_chain(chain.certificate, chain.key)
        if authority:
            context.load_verify_locations(cadata=authority)
        return context
