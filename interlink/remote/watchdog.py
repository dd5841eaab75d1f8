"""One thread that frees calls which block beyond their time.

paramiko has calls without a timeout of their own: a send on a stalled network, exec, a window update.
Closing the socket below frees them all. That is the only thing an action may do here: it must not block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watchdog:
    """Runs an action when a guarded block has not ended in time; one per pool. Thread-safe."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._guards: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wake_at = float("inf")
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def guard(self, seconds: float, action: Callable[[], None]) -> Iterator[None]:
        """Call `action` once if the block is still running after so many seconds."""
        key = object()
        with self._condition:
            self._guards[key] = (time.monotonic() + seconds, action)
            self._start()
            if self._guards[key][0] < self._wake_at:
                self._condition.notify()
        try:
            yield
        finally:
            with self._condition:
                self._guards.pop(key, None)

    def close(self) -> None:
        """End the thread; guards that come later start it again."""
        with self._condition:
            thread, self._thread, self._closed = self._thread, None, True
            self._condition.notify()
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._closed, self._wake_at = False, float("inf")
            self._thread = threading.Thread(target=self._watch, name="ssh-watchdog", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        me = threading.current_thread()
        while True:
            with self._condition:
                if self._closed or self._thread is not me:
                    return
                due = self._due(time.monotonic())
                if not due:
                    self._wake_at = min((at for at, _ in self._guards.values()), default=float("inf"))
                    left = self._wake_at - time.monotonic()
                    self._condition.wait(min(max(left, 0.0), 3600.0))
                    continue
            for action in due:
                action()

    def _due(self, now: float) -> list[Callable[[], None]]:
        keys = [key for key, (at, _) in self._guards.items() if at <= now]
        return [self._guards.pop(key)[1] for key in keys]
