"""When a host may be connected to: back-off, a circuit breaker and a cap on the rate; no I/O."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable

from interlink.errors import HostUnreachable, LoginRefused
from interlink.remote.tuning import Tuning


class Pacing:
    """Says whether a connection may be attempted now. Not thread-safe.

    After a failure the circuit is open: callers get the same error at once, until the back-off has passed
    or what a human can mend (`stamp`: key, certificate, known_hosts) has changed. So a crowd of callers
    costs one handshake, and a refused login is not repeated in a loop.
    """

    def __init__(
        self,
        host: str,
        per_minute: int,
        tuning: Tuning,
        *,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._host, self._per_minute, self._tuning = host, per_minute, tuning
        self._clock, self._spread = clock, spread
        self._attempts: deque[float] = deque()
        self._failures = 0
        self._error: HostUnreachable | None = None
        self._retry_at = 0.0
        self._stamp: tuple[int, ...] = ()

    def admit(self, stamp: tuple[int, ...]) -> None:
        """Count an attempt, or raise HostUnreachable (of the last failure's class) when it is too early."""
        now = self._clock()
        if self._error is not None and now < self._retry_at and stamp == self._stamp:
            raise type(self._error)(f"{self._error} (next attempt in {self._retry_at - now:.0f} s)")
        while self._attempts and self._attempts[0] <= now - 60:
            self._attempts.popleft()
        if len(self._attempts) >= self._per_minute:
            wait = self._attempts[0] + 60 - now
            raise HostUnreachable(
                f"host {self._host}: {self._per_minute} connections were opened within a minute, the most that "
                f"interlink_connects_per_minute allows; next attempt in {wait:.0f} s"
            )
        self._attempts.append(now)

    def failed(self, error: HostUnreachable, stamp: tuple[int, ...]) -> None:
        """Open the circuit for a jittered time that doubles with each failure."""
        tuning, refused = self._tuning, isinstance(error, LoginRefused)
        first, most = (
            (tuning.refused_first, tuning.refused_most) if refused else (tuning.backoff_first, tuning.backoff_most)
        )
        delay = min(most, first * 2 ** min(self._failures, 20))
        self._failures += 1
        self._error, self._stamp = error, stamp
        self._retry_at = self._clock() + delay * self._spread(0.5, 1.0)

    def succeeded(self) -> None:
        self._failures, self._error = 0, None
