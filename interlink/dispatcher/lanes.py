"""Work by key: one thread at a time for a key, a few for a lane, none while there is nothing to do."""

from __future__ import annotations

import heapq
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass
class _Lane:
    waiting: deque[str] = field(default_factory=deque)
    threads: int = 0


class Lanes:
    """Runs `work(key)` soon after `wake(key)`; wakes that come meanwhile become one more run.

    `lane_of(key)` says in which lane a key runs now; a lane runs at most `width` keys at once, so that a
    slow host holds up nobody else. `work` returns the seconds after which it wants to run again, or None.
    """

    def __init__(self, work: Callable[[str], float | None], lane_of: Callable[[str], str], *, width: int = 8) -> None:
        self._work, self._lane_of, self._width = work, lane_of, width
        self._lanes: dict[str, _Lane] = {}
        self._queued: set[str] = set()
        self._running: dict[str, bool] = {}  # key -> was it woken meanwhile?
        self._timers: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._timer = threading.Thread(target=self._tick, name="lanes-timer", daemon=True)
        self._timer.start()

    def wake(self, key: str, delay: float = 0.0) -> None:
        """Run `key` now, or in `delay` seconds unless it runs earlier anyway."""
        if delay > 0:
            self._later(key, delay)
            return
        with self._changed:
            self._due.pop(key, None)
            if self._closed or key in self._queued:
                return
            if key in self._running:
                self._running[key] = True
                return
            self._enqueue(key)

    def close(self, timeout: float = 30.0) -> bool:
        """Start nothing more and wait for what runs; False if something still runs after `timeout` seconds."""
        with self._changed:
            self._closed = True
            for lane in self._lanes.values():
                lane.waiting.clear()
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not any(lane.threads for lane in self._lanes.values()), timeout)
        self._timer.join(timeout)
        return done

    def _enqueue(self, key: str) -> None:
        name = self._lane_of(key)
        lane = self._lanes.setdefault(name, _Lane())
        self._queued.add(key)
        lane.waiting.append(key)
        if lane.threads < self._width:
            lane.threads += 1
            threading.Thread(target=self._drain, args=(lane,), name=f"lane-{name}", daemon=True).start()

    def _drain(self, lane: _Lane) -> None:
        try:
            self._work_off(lane)
        except BaseException:
            with self._changed:
                lane.threads -= 1
                self._changed.notify_all()
            raise

    def _work_off(self, lane: _Lane) -> None:
        while True:
            with self._changed:
                if not lane.waiting:
                    lane.threads -= 1
                    self._changed.notify_all()
                    return
                key = lane.waiting.popleft()
                self._queued.discard(key)
                self._running[key] = False
            delay = self._run(key)
            with self._changed:
                again = self._running.pop(key)
                if again and not self._closed:
                    self._enqueue(key)
            if delay is not None and not again:
                self._later(key, delay)

    def _run(self, key: str) -> float | None:
        try:
            return self._work(key)
        except Exception:
            log.exception("work on %s failed; it is tried again", key)
            return 10.0

    def _later(self, key: str, delay: float) -> None:
        at = time.monotonic() + delay * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        with self._changed:
            if self._due.get(key, at + 1) <= at:
                return
            self._due[key] = at
            heapq.heappush(self._timers, (at, key))
            self._changed.notify_all()

    def _tick(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not (self._timers and self._timers[0][0] <= time.monotonic()):
                    self._changed.wait(max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None)
                if self._closed:
                    return
                at, key = heapq.heappop(self._timers)
                due = self._due.get(key) == at
            if due:
                self.wake(key)
