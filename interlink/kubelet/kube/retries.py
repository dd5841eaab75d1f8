"""Which requests may be sent again, and when; pure."""

from __future__ import annotations

import random

from interlink.errors import InterlinkError, Unavailable
from interlink.kubelet.kube.errors import ApiError

ATTEMPTS = 5
FIRST_SECONDS, LONGEST_SECONDS = 0.2, 5.0
REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})  # a repeat of one that was carried out does no harm
PASSING = frozenset({502, 503, 504})  # 500 is not among them: an apply of a field that the server does not know gets it


def may_repeat(method: str, error: InterlinkError) -> bool:
    """True if a request that ended so may be sent once more.

    A POST is repeated only where the server surely did nothing.
    """
    if isinstance(error, ApiError):
        return error.refused_for_now or (method in REPEATABLE and error.status in PASSING)
    return isinstance(error, Unavailable) or method in REPEATABLE


def delay(attempt: int, error: InterlinkError, spread: float | None = None) -> float:
    """Seconds to wait after the attempt (from 0): what the server asks for, else doubling; never all at once.

    `spread` from 0 to 1 stands for chance.

    >>> delay(0, ApiError(429, "", "", 1.0), 0.5), delay(3, ApiError(503, "", ""), 0.0)
    (1.5, 0.8)
    """
    chance = random.random() if spread is None else spread  # noqa: S311 - no secret
    if isinstance(error, ApiError) and error.retry_after is not None:
        return error.retry_after * (1 + chance)
    return float(min(FIRST_SECONDS * 2**attempt, LONGEST_SECONDS) * (0.5 + chance))
