"""Work by key: never twice at once, never forgotten, later and later while it fails."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from interlink.errors import InterlinkError

Key = TypeVar("Key", bound=Hashable)

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 60.0
WORKERS = 64  # they mostly wait for an answer
_log = logging.getLogger(__name__)


def backoff(failures: int, spread: float | None = None) -> float:
    """Seconds to wait after so many failures in a row: 0.1, 0.2, ... 60, each lessened by up to a fifth.

    `spread` from 0 to 1 stands for chance.

    >>> backoff(1, 0.0), backoff(4, 0.0), backoff(50, 0.0), backoff(50, 1.0)
    (0.1, 0.8, 60.0, 48.0)
    """
    chance = random.random() if spread is None else spread  # noqa: S311 - no secret
    return float(min(FIRST_SECONDS * 2 ** min(failures - 1, 20), LONGEST_SECONDS) * (1 - chance / 5))


class WorkQueue(Generic[Key]):
    """Calls `work(key)` for every key that was added; of one event loop.

    A key that is added while its work runs is worked on once more afterwards. What `work` returns is the number of
    seconds after which it wants to see the key again; None: not before something happens. When it raises, the key
    comes back by back-off, for ever.
    """

    def __init__(self, work: Callable[[Key], Awaitable[float | None]], workers: int = WORKERS) -> None:
        self._work, self._workers = work, workers
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()  # in _ready
        self._busy: set[Key] = set()
        self._dirty: set[Key] = set()  # busy, and added again
        self._failures: Counter[Key] = Counter()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """How many keys wait or are worked on now, those of later not counted."""
        return len(self._queued) + len(self._busy)

    def add(self, key: Key) -> None:
        """Have the key worked on as soon as there is a worker."""
        self._idle.clear()
        if key in self._busy:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Add the key later, unless it is to be added sooner anyway."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known is not None:
            if known.when() <= loop.time() + seconds:
                return
            known.cancel()
        self._timers[key] = loop.call_later(seconds, self._ring, key)

    def hurry(self) -> None:
        """Work at once on every key that waits because its last work failed: what hindered it may be over."""
        for key in list(self._failures):
            self._failures[key] = 0
            self.add(key)

    async def idle(self) -> None:
        """Wait until no key waits or is worked on; keys of later do not count."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work until cancelled; work that runs then is cancelled too."""
        workers = [asyncio.create_task(self._worker()) for _ in range(self._workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for timer in self._timers.values():
                timer.cancel()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _ring(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    async def _worker(self) -> None:
        while True:
            key = await self._ready.get()
            self._queued.discard(key)
            self._busy.add(key)
            if timer := self._timers.pop(key, None):
                timer.cancel()  # it was the wish of an earlier look
            try:
                await self._step(key)
            finally:
                self._finish(key)

    async def _step(self, key: Key) -> None:
        try:
            again = await self._work(key)
        except InterlinkError as error:
            _log.warning("%s: %s", key, error)
            self._fail(key)
        except Exception:  # a defect, of which one key must not stop the others
            _log.exception("%s", key)
            self._fail(key)
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.add_after(key, again)

    def _fail(self, key: Key) -> None:
        self._failures[key] += 1
        self.add_after(key, backoff(self._failures[key]))

    def _finish(self, key: Key) -> None:
        self._busy.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)
        elif not len(self):
            self._idle.set()
