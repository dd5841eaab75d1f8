"""Waiting for a pod to get somewhere, and keeping two requests for one pod apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from interlink.ledger import PodRow


class Waiters:
    """Who waits for a pod to get somewhere."""

    def __init__(self) -> None:
        self._events: dict[str, list[threading.Event]] = {}
        self._lock = threading.Lock()

    def wait(self, uid: str, settled: Callable[[str], PodRow | None], timeout: float) -> PodRow | None:
        """Return the row once it is settled, or None after `timeout` seconds."""
        event = threading.Event()
        with self._lock:
            self._events.setdefault(uid, []).append(event)
        until = time.monotonic() + timeout
        try:
            while (row := settled(uid)) is None and time.monotonic() < until:
                event.wait(until - time.monotonic())
                event.clear()
            return row
        finally:
            with self._lock:
                self._events[uid].remove(event)
                if not self._events[uid]:
                    del self._events[uid]

    def look(self, uid: str) -> None:
        with self._lock:
            for event in self._events.get(uid, ()):
                event.set()


class Stripes:
    """A fixed number of locks, one of which guards any given key."""

    def __init__(self, count: int = 64) -> None:
        self._locks = [threading.Lock() for _ in range(count)]

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        with self._locks[hash(key) % len(self._locks)]:
            yield
