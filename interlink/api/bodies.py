"""Reading request bodies: sized or chunked, on any method, bounded in bytes and in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import falcon

from interlink.api.problems import TooLarge, UploadTimeout
from interlink.api.watchdog import Watchdog
from interlink.errors import InputError
from interlink.model.wire import gojson

_PIECE = 1 << 16


@dataclass(frozen=True)
class Bodies:
    """How bodies are read: at most `limit` bytes, within `seconds`."""

    limit: int
    seconds: float
    watchdog: Watchdog

    def read(self, req: falcon.Request) -> bytes:
        """Return the whole body; TooLarge, UploadTimeout, or InputError if the client broke off."""
        length = req.content_length
        if length is not None and length > self.limit:
            raise self._too_large()
        with self.watchdog.deadline(req.env.get("gunicorn.socket"), self.seconds) as deadline:
            try:
                body = self._collect(req, length)
            finally:
                if deadline.passed:
                    raise UploadTimeout(f"the body did not arrive within {self.seconds:g} s")
        if length is not None and len(body) < length:
            raise InputError("the body ended before its announced length")
        return body

    def json(self, req: falcon.Request) -> Any:
        """Return the body's JSON value; None for an empty body, as for `null`."""
        body = self.read(req)
        return gojson.decode(body) if body.strip() else None

    def _collect(self, req: falcon.Request, length: int | None) -> bytes:
        # bounded_stream knows no chunked bodies: without a length it is empty.
        chunked = length is None and req.env.get("wsgi.input_terminated")
        stream = req.stream if chunked else req.bounded_stream
        pieces: list[bytes] = []
        size = 0
        while piece := _piece(stream):
            pieces.append(piece)
            size += len(piece)
            if size > self.limit:
                raise self._too_large()
        return b"".join(pieces)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self.limit} bytes")


def _piece(stream: Any) -> bytes:
    try:
        return bytes(stream.read(_PIECE))
    except Exception as error:  # whatever the server below calls a broken chunk or a lost client
        raise InputError("the body is broken, or the client left while sending it") from error
