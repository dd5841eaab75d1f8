"""So many a second, and some more at once: what is less urgent must not take the API server's time from the rest."""

from __future__ import annotations

import asyncio


class Pace:
    """Turns at a rate; `burst` of them may be taken at once after a rest.

    >>> pace = Pace(10, 2)
    >>> [round(pace.reserve(100.0), 3) for _ in range(4)], pace.reserve(200.0)
    ([0.0, 0.0, 0.1, 0.2], 0.0)
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._gap, self._burst = 1 / per_second, burst
        self._next = 0.0  # the moment up to which turns are given away

    def reserve(self, now: float) -> float:
        """Take the next turn; return in how many seconds it comes."""
        self._next = max(self._next, now - self._gap * self._burst) + self._gap
        return max(0.0, self._next - now)

    async def turn(self) -> None:
        """Wait for one's turn."""
        wait = self.reserve(asyncio.get_running_loop().time())
        if wait > 0:
            await asyncio.sleep(wait)
