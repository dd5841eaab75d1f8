"""One container's log as a stream; the remote command ends when the stream is closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta, timezone

from interlink.drivers.docker import monitor
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
    """A log that is being read; at most `limit` bytes of it. Its first lines are those of logs.sh."""

    def __init__(self, stream: Stream, container: str, query: LogQuery) -> None:
        self._stream, self._container, self._query = stream, container, query
        self._chunks = iter(stream)
        self._verdict, self._head = self._line(b"")
        self._closed = False

    def opened(self) -> Log:
        """Return itself if there is such a log; NotFound if not."""
        if self._verdict in (b"ok", b"later") or self._verdict.startswith(b"monitor"):
            return self
        self._stream.close()
        what = f"container {self._container!r} of pod {self._query.pod.name or self._query.pod.uid}"
        if self._verdict == b"waits":
            raise NotFound(f"{what} is waiting to start")
        raise NotFound(f"{'previous terminated ' if self._query.previous else ''}{what} has no log here")

    def __iter__(self) -> Iterator[bytes]:
        left = self._query.limit_bytes
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
        verdict, head = self._verdict, self._head
        if verdict == b"later":
            verdict, head = self._line(head)
        if verdict.startswith(b"monitor"):
            records = monitor.Records(verdict.partition(b" ")[2].decode(), timestamps=self._query.timestamps)
            yield records.text(head)
            for chunk in self._chunks:
                yield records.text(chunk)
        else:
            yield head
            yield from self._chunks
        if not self._closed and (code := self._stream.result().code):
            raise ConnectionLost(
                f"the log of container {self._container!r} broke off: the engine's exit code was {code}"
            )

    def _line(self, head: bytes) -> tuple[bytes, bytes]:
        """Read a line; return it, and what has been read beyond it."""
        while b"\n" not in head and (chunk := next(self._chunks, None)) is not None:
            head += chunk
        line, _, rest = head.partition(b"\n")
        return line, rest

    def close(self) -> None:
        """End the remote command; from any thread, more than once."""
        self._closed = True
        self._stream.close()
