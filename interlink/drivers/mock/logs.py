"""What a log query selects from a mock container's log; pure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from interlink.model.driver import LogQuery
from interlink.model.status import ContainerStatus, Running, Terminated

Source = Callable[[], tuple[ContainerStatus, bytes] | None]


def started_at(status: ContainerStatus, *, previous: bool) -> datetime | None:
    """Return when the attempt that the query means was started; None if there is none."""
    state = status.last_state if previous or not isinstance(status.state, Running | Terminated) else status.state
    return state.started_at if isinstance(state, Running | Terminated) else None


def select(log: bytes, query: LogQuery, written: datetime, now: datetime) -> bytes:
    """Return the part of a log, all written at one moment, that the query asks for."""
    oldest = query.since_time or (now - timedelta(seconds=query.since_seconds) if query.since_seconds else None)
    if oldest is not None and written < oldest:
        return b""
    lines = log.splitlines(keepends=True)
    if query.tail is not None:
        lines = lines[-query.tail :] if query.tail else []
    if query.timestamps:
        stamp = written.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode()
        lines = [stamp + line for line in lines]
    return b"".join(lines)[: query.limit_bytes]


class MockStream:
    """A log that ends when its container has, or when it is closed."""

    def __init__(self, query: LogQuery, source: Source, now: Callable[[], datetime], changed: threading.Condition):
        self._query, self._source, self._now, self._changed = query, source, now, changed
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the log of the attempt that runs; with follow, wait for its start and then for its end."""
        with self._changed:
            written = self._wait(lambda s: started_at(s, previous=self._query.previous))
            found = self._source()
        if written is None or found is None:
            return
        if text := select(found[1], self._query, written, self._now()):
            yield text
        with self._changed:
            self._wait(
                lambda s: None if isinstance(s.state, Running) and started_at(s, previous=False) == written else 1
            )

    def _wait(self, ready: Callable[[ContainerStatus], object]) -> datetime | None:
        while not self._closed and (found := self._source()) is not None:
            value = ready(found[0])
            if value is not None or not self._query.follow or self._query.previous:
                return value if isinstance(value, datetime) else None
            if isinstance(found[0].state, Terminated):
                return None
            self._changed.wait(timeout=0.05)
        return None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
