"""Watches client sockets: a client that has left, or is too slow, must not hold a thread.

A thread that waits for its driver, or for a client's bytes, cannot look at the socket itself. One more
thread does it for all: it sleeps in epoll and acts when a peer closes its end or an upload takes too long.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR | select.EPOLLONESHOT
_TICK = 1.0  # seconds between looks at uploads, while there are any


@dataclass(eq=False)
class Deadline:
    """An upload that must end in time; `passed` says that it was cut."""

    sock: socket.socket | None
    ends: float  # by the monotonic clock
    passed: bool = False


class Watchdog:
    """Calls back once for each watched socket whose peer leaves; cuts uploads at their deadline.

    The thread starts with the first socket, thus after gunicorn's fork, and ends with `close`. Sockets
    are None under a server that does not show them: nothing is watched then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._uploads: set[Deadline] = set()
        self._thread: threading.Thread | None = None
        self._epoll: select.epoll | None = None
        self._wake = -1
        self._asleep = False
        self._draining = False
        self._closed = False

    @contextlib.contextmanager
    def gone(self, sock: socket.socket | None, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` once, from a thread of its own, if the peer closes or the server drains meanwhile."""
        number = -1 if sock is None else sock.fileno()
        if number < 0:
            yield
            return
        with self._lock:
            epoll = self._started()
            self._callbacks[number] = callback
            epoll.register(number, _GONE)
        if self._draining:
            self._call(number)
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.pop(number, None)
                with contextlib.suppress(OSError, ValueError):  # the socket is closed already
                    epoll.unregister(number)

    @contextlib.contextmanager
    def deadline(self, sock: socket.socket | None, seconds: float) -> Iterator[Deadline]:
        """End the reading side of a socket unless the body of this `with` ends in time."""
        upload = Deadline(sock, time.monotonic() + seconds)
        if sock is None:
            yield upload
            return
        with self._lock:
            self._started()
            self._uploads.add(upload)
            if self._asleep:
                os.eventfd_write(self._wake, 1)
        try:
            yield upload
        finally:
            with self._lock:
                self._uploads.discard(upload)

    def drain(self) -> None:
        """Treat all peers as gone, now and from now on. Takes no lock: signal handlers may call it."""
        self._draining = True
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._closed = True
            thread, epoll, wake = self._thread, self._epoll, self._wake
            self._thread, self._epoll, self._wake = None, None, -1
        if thread and epoll:
            os.eventfd_write(wake, 1)
            thread.join()
            epoll.close()
            os.close(wake)

    def _started(self) -> select.epoll:
        if self._epoll is None:
            self._epoll = select.epoll()
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._epoll.register(self._wake, select.EPOLLIN)
            self._thread = threading.Thread(
                target=self._run, args=(self._epoll, self._wake), name="watchdog", daemon=True
            )
            self._thread.start()
        return self._epoll

    def _run(self, epoll: select.epoll, wake: int) -> None:
        while not self._closed:
            self._step(epoll, wake)

    def _step(self, epoll: select.epoll, wake: int) -> None:
        with self._lock:
            self._asleep = not self._uploads
        events = epoll.poll(None if self._asleep else _TICK)
        self._asleep = False
        for number, _ in events:
            if number == wake:
                os.eventfd_read(wake)
            else:
                self._call(number)
        if self._draining:
            for number in list(self._callbacks):
                self._call(number)
        self._cut_uploads()

    def _call(self, number: int) -> None:
        with self._lock:
            callback = self._callbacks.pop(number, None)
        if callback:  # in a thread of its own: closing a stream may take a moment, and others wait
            threading.Thread(target=callback, name="watchdog-close", daemon=True).start()

    def _cut_uploads(self) -> None:
        now = time.monotonic()
        with self._lock:
            for upload in [upload for upload in self._uploads if upload.ends <= now]:
                upload.passed = True
                self._uploads.discard(upload)
                if upload.sock:
                    with contextlib.suppress(OSError):  # the peer was faster
                        upload.sock.shutdown(socket.SHUT_RD)
