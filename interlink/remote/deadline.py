"""A point in time by which something must have happened."""

from __future__ import annotations

import time


class Deadline:
    """One monotonic deadline that is handed down through open, exec, send and receive (seconds)."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at
