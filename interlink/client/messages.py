"""Requests and replies as data; no I/O."""

from __future__ import annotations

import random
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from interlink.errors import InterlinkError, InvalidPod, OutcomeUnknown, Unavailable
from interlink.model.wire import gojson, problems

T = TypeVar("T")

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0  # until a whole answer, or the beginning of a stream, is there


@dataclass(frozen=True)
class Request:
    """One request. `session` names the call in both sides' logs.

    `again` says that it may be sent once more when the connection breaks: it reads, or is idempotent.
    """

    method: str
    path: str
    session: str
    body: bytes | None = field(default=None, repr=False)
    reads: bool = True
    again: bool = True


@dataclass(frozen=True)
class Reply:
    """A complete reply."""

    status: int
    body: bytes = field(default=b"", repr=False)


_NO_V1 = "no interLink server with /v1 is there: it is another one's, or passes its pods on to a plugin"


def json_request(
    method: str, path: str, session: str, value: Any, *, reads: bool = False, again: bool = True
) -> Request:
    """Build a request with a JSON body."""
    return Request(method, path, session, gojson.encode(value), reads=reads, again=again)


def session(verb: str) -> str:
    """Return a request's id in the form that the Go components use."""
    return f"{verb}#{random.randrange(100_000)}"  # noqa: S311  (it only has to be recognised in a log)


def path(*parts: str, **query: object) -> str:
    """Build a path and query; None and False are left out, lists repeat their name.

    >>> path("v1", "pods", "a/b", "log", tailLines=0, follow=True, since=None)
    '/v1/pods/a%2Fb/log?tailLines=0&follow=true'
    """
    where = "/" + "/".join(urllib.parse.quote(part, safe="") for part in parts)
    pairs = [(name, item) for name, value in query.items() for item in _values(value)]
    return f"{where}?{urllib.parse.urlencode(pairs)}" if pairs else where


def checked(reply: Reply, request: Request, peer: str, *, success: Iterable[int] = (200,)) -> Reply:
    """Return the reply if it is a success, else raise the error that it means."""
    if reply.status in success:
        return reply
    missing = _NO_V1 if request.path.startswith("/v1/") else ""
    raise problems.error_of(reply.status, reply.body, reads=request.reads, peer=peer, missing=missing)


def understood(body: bytes, read: Callable[[Any], T], request: Request, peer: str) -> T:
    """Return what a reply says, by `read` of its JSON.

    What cannot be read is somebody else's page, or a failure dressed as success: never a mistake of ours.
    """
    try:
        return read(gojson.decode(body))
    except InvalidPod as error:
        raise garbled(request, peer, error) from error


def items(value: Any) -> list[Any]:
    """Return the items of a list of ours."""
    found = value.get("items") if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise InvalidPod("must be a list", field="items")
    return found


def garbled(request: Request, peer: str, error: Exception) -> InterlinkError:
    """Return the error for a reply that says 200 and nothing that can be understood."""
    kind = Unavailable if request.reads else OutcomeUnknown
    return kind(f"{peer}: the answer to {request.method} {request.path} cannot be read: {error}")


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join chunks and cut them into the lines of a watch; an unfinished last line is dropped."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())


def headers(request: Request, token: str) -> Mapping[str, str]:
    """Return the headers of a request; no token, no Authorization."""
    result = {"Interlink-Http-Session": request.session, "Accept-Encoding": "identity"}
    if request.body is not None:
        result["Content-Type"] = "application/json"
    if token:
        result["Authorization"] = f"Bearer {token}"
    return result


def _values(value: object) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return ["true"]
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
