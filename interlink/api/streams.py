"""Answers that last: logs and watches, each freed as soon as its client leaves."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import falcon
from prometheus_client import Gauge

from interlink.api.watchdog import Watchdog
from interlink.errors import InterlinkError, Unavailable

log = logging.getLogger(__name__)


class Source(Protocol):
    """What a driver gives: chunks, closable from any thread."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Streams:
    """Turns sources into response bodies; at most `limit` that follow something are open at once."""

    def __init__(self, watchdog: Watchdog, limit: int, gauge: Gauge) -> None:
        self._watchdog = watchdog
        self._slots = threading.BoundedSemaphore(limit)
        self._limit = limit
        self._gauge = gauge

    def reply(self, req: falcon.Request, resp: falcon.Response, start: Callable[[], Source], *, follows: bool) -> None:
        """Answer with the chunks of `start()`; Unavailable when too many streams are open.

        `follows` says that the source may stay silent for long. HEAD opens it and closes it again.
        """
        if follows and not self._slots.acquire(blocking=False):
            raise Unavailable(f"{self._limit} streams are open already; try again later")
        release = self._slots.release if follows else _nothing
        try:
            source = start()
        except BaseException:
            release()
            raise
        body = _Body(source, req, self._watchdog, release, self._gauge)
        if req.method == "HEAD":
            body.close()
        else:
            resp.stream = body


class _Body:
    """A WSGI body. The server calls `close` in the end, whatever happened before."""

    def __init__(
        self, source: Source, req: falcon.Request, watchdog: Watchdog, release: Callable[[], None], gauge: Gauge
    ) -> None:
        self._source = source
        self._session = req.context.get("session")
        self._finish = contextlib.ExitStack()
        self._finish.callback(release)
        self._finish.callback(source.close)
        gauge.inc()
        self._finish.callback(gauge.dec)
        self._finish.enter_context(watchdog.gone(req.env.get("gunicorn.socket"), source.close))

    def __iter__(self) -> Iterator[bytes]:
        yield b""  # sends the headers at once, before there is anything to say
        try:
            yield from self._source
        except InterlinkError as error:
            # The headers are gone: only a broken connection tells the client that this is not the end.
            log.warning("%s: stream ends: %s: %s", self._session, type(error).__name__, error)
            raise ConnectionAbortedError(errno.EPIPE, str(error)) from error

    def close(self) -> None:
        self._finish.close()


def lines(items: Iterable[bytes], close: Callable[[], None]) -> Source:
    """Join chunks and the function that ends them."""
    return _Joined(items, close)


class _Joined:
    def __init__(self, items: Iterable[bytes], close: Callable[[], None]) -> None:
        self._items = items
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._items)


def _nothing() -> None:
    return None
