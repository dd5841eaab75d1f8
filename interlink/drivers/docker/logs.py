"""One container's log as a stream; the remote command ends when the stream is closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta, timezone

from interlink.errors import ConnectionLost, NotFound
from interlink.model.driver import LogQuery
from interlink.remote.connection import Stream


def arguments(query: LogQuery, container: str) -> list[str]:
    """Return the arguments of `il_logs` for this query."""
    since = ""
    if query.since_seconds is not None:
        since = str(query.since_seconds)
    elif query.since_time is not None:
        # a nanosecond less: to podman, unlike Kubernetes, a line of that very time is too old
        before = query.since_time.astimezone(timezone.utc) - timedelta(microseconds=1)
        since = before.strftime("%Y-%m-%dT%H:%M:%S.%f999Z")
    return [
        query.pod.uid,
        container,
        "1" if query.previous else "0",
        "all" if query.tail is None else str(query.tail),
        since,
        "1" if query.timestamps else "",
        "1" if query.follow else "",
        "" if query.attempt is None else str(query.attempt),
    ]


class Log:
    """A log that is being read; at most `limit` bytes of it."""

    def __init__(self, stream: Stream, container: str, limit: int | None) -> None:
        self._stream, self._container, self._limit = stream, container, limit
        self._chunks = iter(stream)
        self._head = b""
        self._closed = False

    def opened(self, query: LogQuery) -> Log:
        """Read the first line, which says whether there is such a log; NotFound if not."""
        head = b""
        for chunk in self._chunks:
            head += chunk
            if b"\n" in head:
                break
        verdict, _, self._head = head.partition(b"\n")
        if verdict == b"ok":
            return self
        self._stream.close()
        what = f"container {self._container!r} of pod {query.pod.name or query.pod.uid}"
        if verdict == b"waits":
            raise NotFound(f"{what} is waiting to start")
        raise NotFound(f"{'previous terminated ' if query.previous else ''}{what} has no log here")

    def __iter__(self) -> Iterator[bytes]:
        left = self._limit
        for chunk in self._all():
            piece = chunk if left is None else chunk[:left]
            if piece:
                yield piece
            if left is not None:
                left -= len(piece)
                if left <= 0:
                    break
        self.close()

    def _all(self) -> Iterator[bytes]:
        yield self._head
        yield from self._chunks
        if not self._closed and (code := self._stream.result().code):
            raise ConnectionLost(
                f"the log of container {self._container!r} broke off: the engine's exit code was {code}"
            )

    def close(self) -> None:
        """End the remote command; from any thread, more than once."""
        self._closed = True
        self._stream.close()
