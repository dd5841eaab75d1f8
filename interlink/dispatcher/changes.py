"""What happened, in order: numbered changes, the last of them kept for followers that return."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from interlink.errors import NotFound
from interlink.model.driver import Change

Type = Literal["pod", "node", "event"]
KEPT = 16_384  # changes
BOOKMARK_SECONDS = 10.0


class Changes:
    """Numbers changes and hands them to any number of followers; thread-safe.

    Numbers start at the microsecond of the start, so those of an earlier process are never mistaken for
    ours: a follower that brings one is told that it is too old.
    """

    def __init__(self, *, kept: int = KEPT, start: int | None = None) -> None:
        self._ring: deque[Change] = deque(maxlen=kept)
        self._last = time.time_ns() // 1000 if start is None else start
        self._first = self._last  # the oldest number that may be followed
        self._news = threading.Condition()

    @property
    def last(self) -> int:
        with self._news:
            return self._last

    def publish(self, kind: Type, item: Any) -> None:
        with self._news:
            self._last += 1
            self._ring.append(Change(self._last, kind, item))
            self._first = self._ring[0].seq - 1
            self._news.notify_all()

    def follow(self, since: int | None, picture: Callable[[], Sequence[tuple[Type, Any]]]) -> Feed:
        """Return a feed of what comes after `since`; for None, of the whole picture and what comes after it.

        NotFound if changes after `since` have been forgotten, or were another process's.
        """
        with self._news:
            start = self._last if since is None else since
            if not self._first <= start <= self._last:
                raise NotFound(f"changes after {since} are not kept any more; start over without `since`")
        opening = [] if since is not None else _opening(picture(), start)
        return Feed(self, start, opening)

    def after(self, seq: int, timeout: float, ended: Callable[[], bool]) -> list[Change] | None:
        """Wait for changes after `seq`: [] if none came in time, None if they are forgotten or the feed ended."""
        with self._news:
            self._news.wait_for(lambda: self._last > seq or ended(), timeout)
            if ended() or seq < self._first:
                return None
            return [self._ring[i] for i in range(len(self._ring) - (self._last - seq), len(self._ring))]

    def wake(self) -> None:
        """Let all who wait look whether they have ended."""
        with self._news:
            self._news.notify_all()


class Feed:
    """One follower's changes; a ChangeFeed. A follower that falls too far behind is ended and starts over."""

    def __init__(self, changes: Changes, seq: int, opening: Sequence[Change]) -> None:
        self._changes, self._seq, self._opening = changes, seq, opening
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Change]:
        yield from self._opening
        while True:
            news = self._changes.after(self._seq, BOOKMARK_SECONDS, self._closed.is_set)
            if news is None:
                return
            if not news:
                yield Change(self._seq, "bookmark", None)
            for change in news:
                self._seq = change.seq
                yield change

    def close(self) -> None:
        self._closed.set()
        self._changes.wake()


def _opening(picture: Sequence[tuple[Type, Any]], seq: int) -> list[Change]:
    return [*(Change(0, kind, item) for kind, item in picture), Change(seq, "bookmark", None)]
