"""What happens around every request: its id, the token, counting."""

from __future__ import annotations

import hmac
import logging
import re
import time
import uuid
from pathlib import Path
from typing import Any

import falcon

from interlink.api.metrics import Metrics
from interlink.api.problems import Unauthorized
from interlink.errors import Unavailable

log = logging.getLogger(__name__)

SESSION_HEADER = "Interlink-Http-Session"
_SESSION = re.compile(r"[\x21-\x7e]{1,128}")
OPEN_PATHS = frozenset(("/healthz", "/readyz"))


class Session:
    """Gives every request an id, the client's own if it sent one, and sends it back."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = req.get_header(SESSION_HEADER) or ""
        session = given if _SESSION.fullmatch(given) else f"Request-{uuid.uuid4()}"
        req.context["session"] = session
        resp.set_header(SESSION_HEADER, session)


class Accounting:
    """Counts and logs requests. Never logs bodies or queries."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context["began"] = time.monotonic()

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,  # noqa: FBT001  (Falcon's signature)
    ) -> None:
        seconds = time.monotonic() - float(req.context["began"] or 0)
        route = req.uri_template or "other"
        self._metrics.count(req.method, route, resp.status_code, seconds)
        level = logging.DEBUG if resp.status_code < 400 else logging.INFO
        told = (req.context.get("session"), req.method, route, resp.status_code, seconds * 1000)
        log.log(level, "%s %s %s %d %.0f ms", *told)


class TokenFile:
    """The accepted bearer tokens: the lines of a file, read again whenever it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[Any, list[bytes]] = (None, [])

    def accepts(self, given: bytes) -> bool:
        """Compare in constant time with every token; Unavailable if the file cannot be read."""
        try:
            return any([hmac.compare_digest(given, token) for token in self._tokens()])  # noqa: C419  (always all)
        except OSError as error:
            raise Unavailable(f"the server's token file cannot be read: {error.strerror}") from error

    def _tokens(self) -> list[bytes]:
        stat = self._path.stat()
        version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if self._read[0] != version:
            lines = (line.strip() for line in self._path.read_bytes().splitlines())
            self._read = (version, [line for line in lines if line])
        return self._read[1]


class Token:
    """Lets only requests with the bearer token in; without a token file, all."""

    def __init__(self, file: TokenFile | None) -> None:
        self._file = file

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context["trusted"] = self._trusted(req)
        if not req.context["trusted"] and req.path not in OPEN_PATHS:
            raise Unauthorized("a bearer token is required, or the one sent is wrong")

    def _trusted(self, req: falcon.Request) -> bool:
        if self._file is None:
            return True
        scheme, _, given = (req.get_header("Authorization") or "").partition(" ")
        # WSGI hands headers over as latin-1.
        return scheme.lower() == "bearer" and self._file.accepts(given.strip().encode("latin-1", "replace"))
