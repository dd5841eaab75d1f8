"""Errors as HTTP: one table, two faces (plain text at the root, problem+json under /v1)."""

from __future__ import annotations

import logging
from typing import Any

import falcon

from interlink.errors import (
    CommandFailed,
    ConfigError,
    Conflict,
    InputError,
    InterlinkError,
    LaunchFailed,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    Unplaced,
    Unsupported,
)
from interlink.model.wire import gojson, problems

log = logging.getLogger(__name__)

RETRY_SECONDS = 5


class TooLarge(InputError):
    """The body is beyond the limit."""


class UploadTimeout(InputError):
    """The body did not arrive in time."""


class Unauthorized(InputError):
    """The bearer token is missing or wrong."""


class Gone(InputError):
    """A watch asks for changes that are no longer kept."""


class NotImplementedHere(InputError):
    """The driver cannot do this at all."""


# The first class that fits decides, so children stand before their parents.
STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (Unauthorized, 401),
    (NotFound, 404),
    (UploadTimeout, 408),
    (Gone, 410),
    (TooLarge, 413),
    (Unsupported, 422),
    (NotImplementedHere, 501),
    (ConfigError, 500),
    (InputError, 400),
    (Conflict, 409),
    (Unavailable, 503),
    (Unplaced, 503),
    (OutcomeUnknown, 504),
    (LaunchFailed, 422),
    (CommandFailed, 502),
)


def install(app: falcon.App[Any, Any]) -> None:
    """Bind every error to its answer."""
    app.add_error_handler(InterlinkError, _interlink_error)
    app.add_error_handler(falcon.HTTPError, _http_error)
    app.add_error_handler(Exception, _bug)


def status_of(error: InterlinkError) -> int:
    """Return the HTTP status of an error of ours."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def _interlink_error(req: falcon.Request, resp: falcon.Response, error: InterlinkError, params: Any) -> None:
    status = status_of(error)
    if status in (503, 504):
        resp.set_header("Retry-After", str(RETRY_SECONDS))
    if status == 401:
        resp.set_header("WWW-Authenticate", "Bearer")
    if status >= 500:
        log.warning("%s: %s: %s", req.context.get("session"), type(error).__name__, error)
    _answer(req, resp, status, str(error), error)


def _http_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: Any) -> None:
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    text = error.description or error.title or falcon.code_to_http_status(error.status_code)
    if error.status_code == 404:
        text = "404 page not found"
    _answer(req, resp, error.status_code, text, error)


def _bug(req: falcon.Request, resp: falcon.Response, error: Exception, params: Any) -> None:
    session = req.context.get("session")
    log.error("%s: unexpected %s", session, type(error).__name__, exc_info=error)
    _answer(req, resp, 500, f"internal error; the server's log has it under {session}", error)


def _answer(req: falcon.Request, resp: falcon.Response, status: int, text: str, error: Exception) -> None:
    resp.status = falcon.code_to_http_status(status)
    line = " ".join(text.split())
    if not f"{req.path}/".startswith("/v1/"):
        resp.content_type = "text/plain; charset=utf-8"
        resp.data = line.encode("utf-8", "replace")
        return
    title = falcon.code_to_http_status(status).partition(" ")[2]
    session = str(req.context.get("session"))
    resp.content_type = problems.MEDIA_TYPE
    resp.data = gojson.encode(problems.problem_json(status, title, line, session, error))
