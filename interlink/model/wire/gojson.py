"""JSON text as Go's encoding/json reads and writes it, and Kubernetes' times."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

from interlink.errors import InvalidPod

_LONE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(?:(Z)|([+-])(\d\d):(\d\d))", re.ASCII
)
_ZERO = datetime(1, 1, 1, tzinfo=timezone.utc)
ZERO_TIME = "0001-01-01T00:00:00Z"


def decode(body: bytes) -> Any:
    """Return the JSON value of a request or reply body; InvalidPod if it is none.

    As in Go, broken UTF-8 and lone surrogates become U+FFFD, while a byte order mark, NaN and trailing
    text are errors. The message never quotes the body, which may hold secrets.
    """
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        return _mend(value) if _LONE_ESCAPE.search(text) else value
    except json.JSONDecodeError as error:
        raise InvalidPod(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError):
        raise InvalidPod("not JSON: a number or nesting beyond all bounds") from None


def encode(value: Any) -> bytes:
    """Return a value as compact JSON that Go reads: no NaN, no lone surrogates, raw UTF-8."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return _SURROGATE.sub("\ufffd", text).encode()


def parse_time(text: str) -> datetime | None:
    """Return an RFC 3339 time as metav1.Time reads it; None for Go's zero time.

    Fractions and offsets are fine. Raises ValueError for all that Go refuses: no zone, a space instead
    of T, lower-case t or z.

    >>> parse_time("2026-01-01T01:00:00.5+01:00").isoformat()
    '2026-01-01T00:00:00.500000+00:00'
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time")
    year, month, day, hour, minute, second = (int(match[n]) for n in range(1, 7))
    micros = int((match[7] or "").ljust(6, "0")[:6])
    offset = timedelta() if match[8] else timedelta(hours=int(match[10]), minutes=int(match[11]))
    local = datetime(year, month, day, hour, minute, second, micros, tzinfo=timezone.utc)
    try:
        moment = local + offset if match[9] == "-" else local - offset
    except OverflowError:
        raise ValueError("a time out of range") from None
    return None if moment == _ZERO else moment


def format_time(moment: datetime | None) -> str | None:
    """Return a time as metav1.Time writes it: UTC, whole seconds, None for an unknown one."""
    return None if moment is None else _utc(moment).replace(microsecond=0).isoformat() + "Z"


def format_precise(moment: datetime | None) -> str | None:
    """Return a time with its microseconds, as metav1.MicroTime writes it."""
    return None if moment is None else _utc(moment).isoformat(timespec="microseconds") + "Z"


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    return value
