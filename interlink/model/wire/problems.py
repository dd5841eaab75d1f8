"""Errors on the wire: problem+json (RFC 9457) from us, plain text and bare status codes from others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from interlink.errors import (
    Conflict,
    InterlinkError,
    InvalidPod,
    LaunchFailed,
    LoginRefused,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    Unsupported,
)
from interlink.model.wire import gojson
from interlink.model.wire.schema import integer, string, struct

MEDIA_TYPE = "application/problem+json"
_PREFIX = "urn:interlink:"
_FIELDS = ("type", "title", "detail", "requestId", "field", "reason")
_PROBLEM = struct({**dict.fromkeys(_FIELDS, string), "status": integer})
_TEXT_LIMIT = 1000
_BY_STATUS: dict[int, type[InterlinkError]] = {
    400: InvalidPod,
    401: LoginRefused,
    403: LoginRefused,
    413: InvalidPod,
    422: Unsupported,
    501: Unsupported,
}


class AlreadyDeleted(Conflict):
    """The pod was deleted before: a create of its UID launches nothing."""


def problem_json(status: int, title: str, detail: str, request_id: str, error: Exception | None) -> dict[str, Any]:
    """Write a problem; `error` gives the type, the field and the reason, where it has them."""
    extra = {
        "field": error.field if isinstance(error, InvalidPod) else None,
        "reason": error.reason if isinstance(error, LaunchFailed) else None,
    }
    return {
        "type": _type(type(error)) if isinstance(error, InterlinkError) else "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "requestId": request_id,
        **{key: value for key, value in extra.items() if value},
    }


def error_of(status: int, body: bytes, *, reads: bool, peer: str, missing: str = "") -> InterlinkError:
    """Return the error that a reply means.

    `reads` says that the request changes nothing, so that no outcome can be unknown. Only what our own
    server says in a problem is believed to be final about a pod; a proxy's slip is not (decisions.md 10).
    `missing` is what it means that there is no such page.
    """
    problem = _read(body)
    kind = _CLASSES.get(problem.get("type", ""))
    text = problem.get("detail") or _text(body) or f"HTTP status {status}"
    if kind is not None:
        return _made(kind, text, problem)
    if status in _BY_STATUS:
        return _BY_STATUS[status](text)
    if status == 404 and missing:
        text = missing
    later = status < 500 or status == 503 or reads
    return (Unavailable if later else OutcomeUnknown)(f"{peer}: {text} (HTTP {status})")


def _made(kind: type[InterlinkError], text: str, problem: dict[str, Any]) -> InterlinkError:
    field, reason = problem.get("field"), problem.get("reason")
    if issubclass(kind, InvalidPod):
        return kind(text.removeprefix(f"{field}: "), field=field)
    if issubclass(kind, LaunchFailed):
        return kind(reason or "Failed", text.removeprefix(f"{reason}: "))
    return kind(text)


def _read(body: bytes) -> dict[str, Any]:
    try:
        value = gojson.decode(body)
        return dict(_PROBLEM(value, "")) if isinstance(value, dict) else {}
    except InvalidPod:
        return {}


def _text(body: bytes) -> str:
    """Return what others say, as one bounded line."""
    return " ".join(body[: 4 * _TEXT_LIMIT].decode("utf-8", "replace").split())[:_TEXT_LIMIT]


def _type(kind: type[Exception]) -> str:
    return _PREFIX + re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def _all(kind: type[InterlinkError]) -> Iterator[type[InterlinkError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all(child)


_CLASSES = {_type(kind): kind for kind in _all(InterlinkError)} | {_PREFIX + "gone": NotFound}
