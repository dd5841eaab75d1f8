"""A container's log as it comes from `logs.sh`: header, index, bytes.

The supervisor notes every second, while a log grows, how far it has come (every 16 s once it has been
quiet); so a line's time is that of the note which first covers it: right to a second while a container
writes steadily, and that of the last line of a burst that follows a longer silence. What no note covers
yet was written after the last one, and carries the host's clock when it was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from interlink.errors import InvalidPod, NotFound, OutcomeUnknown
from interlink.model.driver import LogQuery
from interlink.remote.connection import Stream


def arguments(query: LogQuery) -> list[str]:
    """Return the words of `il_log` for a query."""
    since = "-"
    if query.since_time is not None:
        since = str(int(query.since_time.timestamp()))
    elif query.since_seconds is not None:
        since = f"+{query.since_seconds}"
    tail = "-" if query.tail is None else str(query.tail)
    attempt = "-" if query.attempt is None else str(query.attempt)
    flags = ["yes" if flag else "-" for flag in (query.follow and not query.previous, query.timestamps)]
    return [query.pod.uid, query.container, "1" if query.previous else "0", tail, since, *flags, attempt]


class SupervisedLog:
    """A `LogStream`; opening it waits for the header, which says whether there is such a log."""

    def __init__(self, stream: Stream, query: LogQuery) -> None:
        self._stream, self._query = stream, query
        self._chunks = iter(stream)
        self._rest = b""
        try:
            self._clock, self._offset = self._header()
            self._index = self._read_index()
        except BaseException:
            stream.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        """Yield the log in the pieces in which it comes; at most `limit_bytes` of it."""
        left = self._query.limit_bytes
        pieces = (
            Stamper(self._index, self._offset, self._clock).stamp(self._body())
            if self._query.timestamps
            else self._body()
        )
        for piece in pieces:
            cut = piece if left is None else piece[:left]
            if cut:
                yield cut
            if left is not None:
                left -= len(cut)
                if left <= 0:
                    break
        self.close()

    def close(self) -> None:
        self._stream.close()

    def _body(self) -> Iterator[bytes]:
        if self._rest:
            yield self._rest
        yield from self._chunks

    def _header(self) -> tuple[int, int]:
        words = self._line().split(" ", 2)
        match words:
            case ["log", now, offset]:
                return int(now), int(offset)
            case ["none", *message]:
                raise NotFound(" ".join(message))
            case ["many"]:
                raise InvalidPod("a container name must be given: the pod has several")
        raise OutcomeUnknown(f"no clear answer to a log query: {words}")

    def _read_index(self) -> list[tuple[int, int]]:
        index = []
        while (line := self._line()) != ".":
            time, size = line.split()
            index.append((int(time), int(size)))
        return index

    def _line(self) -> str:
        while b"\n" not in self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise OutcomeUnknown(f"a log ended in its header: {self._rest!r}")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()


@dataclass
class Stamper:
    """Writes a time before every line; `offset` is where the next byte stands in the log.

    >>> index = [(60, 4), (61, 6)]
    >>> b"".join(Stamper(index, 0, 99).stamp(iter([b"abc\\nd", b"\\nx"])))
    b'1970-01-01T00:01:00.000000000Z abc\\n1970-01-01T00:01:01.000000000Z d\\n1970-01-01T00:01:39.000000000Z x'
    """

    index: list[tuple[int, int]]
    offset: int
    clock: int  # the host's, when the log was opened
    fresh: bool = True

    def stamp(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the pieces with their lines stamped; nothing is held back."""
        skew = self.clock - datetime.now(timezone.utc).timestamp()
        for piece in pieces:
            stamped = []
            for line in _lines(piece):
                if self.fresh:
                    stamped.append(self._time(skew))
                stamped.append(line)
                self.offset += len(line)
                self.fresh = line.endswith(b"\n")
            yield b"".join(stamped)

    def _time(self, skew: float) -> bytes:
        while self.index and self.index[0][1] <= self.offset:
            self.index.pop(0)
        seconds = self.index[0][0] if self.index else datetime.now(timezone.utc).timestamp() + skew
        return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000000000Z ").encode()


def _lines(piece: bytes) -> list[bytes]:
    """Split at line feeds alone: `splitlines` takes a carriage return for an end as well."""
    *whole, rest = piece.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])
