"""One host through few links with persistent shells: what SshConnection and LocalConnection share."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from typing import TypeVar

from interlink.errors import ConnectionLost, DeadlineExceeded, HostUnreachable, InterlinkError, Unavailable
from interlink.remote import background, frames
from interlink.remote.connection import Result
from interlink.remote.deadline import Deadline
from interlink.remote.link import Dialler, Link
from interlink.remote.remoteshell import Broken, Late, NoSession, RemoteShell
from interlink.remote.shells import Shells
from interlink.remote.stream import ShellStream
from interlink.remote.tuning import Limits, Shared, Tuning

T = TypeVar("T")


def _unwanted(link: Link, opening: Future[RemoteShell]) -> None:
    """End a shell that came too late."""
    if opening.exception() is None:
        link.end(opening.result())


class ShellConnection:
    """A `Connection` that is opened by the first call and reopened after a loss. Thread-safe.

    Commands of `run` share a few persistent shells on one link. Every stream has a session of its own;
    streams that find none left open a further link. After a fork the child starts afresh.
    """

    def __init__(
        self,
        name: str,
        dialler: Callable[[Shared], Dialler],
        limits: Limits,
        tuning: Tuning,
        shared: Shared | None = None,
    ) -> None:
        self.name = name
        self._new_dialler, self._limits, self._tuning = dialler, limits, tuning
        self._own = shared is None
        self._shared = shared or Shared()
        self._abandoned: list[object] = []
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._dialler = self._new_dialler(self._shared)
        self._main: Shells | None = None
        self._extra: list[Link] = []
        self._opening: Future[Shells] | None = None
        self._widening: Future[Link] | None = None
        self._streams: set[ShellStream] = set()

    # --- run

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0, limit: int = 64 << 20) -> Result:
        """See `Connection.run`."""
        request, deadline = frames.request(script, stdin), Deadline(timeout)
        shells, shell = self._take(deadline)
        try:
            with self._shared.watchdog.guard(deadline.left() + self._tuning.patience, shells.link.abort):
                result = shell.run(request, deadline, limit)
        except Late:
            shells.discard(shell)
            raise DeadlineExceeded(
                f"host {self.name}: the command did not end within {timeout:g} s and was ended"
            ) from None
        except Broken as error:
            shells.discard(shell)
            raise self._lost(shells.link, error) from error
        except BaseException:
            shells.discard(shell)
            raise
        shells.give(shell)
        return result

    def _take(self, deadline: Deadline) -> tuple[Shells, RemoteShell]:
        dialler = self._dialler
        while True:
            shells = self._connect(deadline)
            try:
                return shells, shells.take(deadline)
            except Broken:
                # It died while nothing of ours was on its way: connect again, unless it was closed.
                if dialler is not self._dialler:
                    raise self._closed() from None
            except Late:
                raise Unavailable(
                    f"host {self.name}: no session was free for {deadline.seconds:g} s; nothing was sent"
                ) from None

    def _closed(self) -> HostUnreachable:
        return HostUnreachable(f"host {self.name}: the connection was closed; nothing was sent")

    def _connect(self, deadline: Deadline) -> Shells:
        """Return the shells of the main connection, opening it once for all who wait."""
        self._leave_parent()
        with self._lock:
            if self._main is not None and self._main.link.alive:
                return self._main
            if self._opening is None:
                self._dialler.admit()
                self._opening = background.start(partial(self._open, self._dialler), f"ssh-open-{self.name}")
            opening = self._opening
        return self._await(opening, deadline)

    def _open(self, dialler: Dialler) -> Shells:
        """Open the main connection; runs in a thread of its own, once at a time."""
        link: Link | None = None
        try:
            old = self._main
            if old is not None:
                old.link.close()
            link = dialler.dial()
            shells = Shells(link, self._limits.shells)
            shells.prime()
            with self._lock:
                if dialler is self._dialler:  # not closed meanwhile
                    self._main, link = shells, None
                    return shells
            raise self._closed()
        finally:
            if link is not None:
                link.close()
            with self._lock:
                if dialler is self._dialler:
                    self._opening = None

    def _await(self, future: Future[T], deadline: Deadline) -> T:
        try:
            return future.result(deadline.left())
        except FutureTimeout:
            raise HostUnreachable(
                f"host {self.name}: no connection within {deadline.seconds:g} s; nothing was sent"
            ) from None
        except InterlinkError as error:
            raise type(error)(str(error)) from error  # one exception object must not be raised by many threads

    def _lost(self, link: Link, error: Broken) -> ConnectionLost:
        if link.alive:
            return ConnectionLost(f"host {self.name}: {error}; its outcome is unknown")
        return ConnectionLost(f"host {self.name}: the connection broke ({link.reason}); the outcome is unknown")

    # --- stream

    def stream(self, script: str, *, timeout: float = 30.0) -> ShellStream:
        """See `Connection.stream`."""
        request, deadline = frames.request(script), Deadline(timeout)
        link, shell = self._stream_shell(deadline)
        stream = ShellStream(shell, request, lambda: self._ended(link, shell, stream), partial(self._lost, link))
        with self._lock:
            self._streams.add(stream)
        try:
            with self._shared.watchdog.guard(deadline.left() + self._tuning.patience, link.abort):
                stream.begin(deadline)
        except (Broken, Late) as error:
            stream.close()
            raise self._lost(link, Broken(str(error))) from error
        return stream

    def _ended(self, link: Link, shell: RemoteShell, stream: ShellStream) -> None:
        link.end(shell)
        with self._lock:
            link.streams -= 1
            self._streams.discard(stream)

    def _stream_shell(self, deadline: Deadline) -> tuple[Link, RemoteShell]:
        """Return a session for a stream on the first connection that has one."""
        while True:
            link = self._stream_link(deadline)
            opening = background.start(link.shell, f"ssh-stream-{self.name}")
            try:
                shell = opening.result(deadline.left())
            except NoSession:
                link.full_until = time.monotonic() + 1.0
                self._uncount(link)
            except FutureTimeout:
                opening.add_done_callback(partial(_unwanted, link))
                self._uncount(link)
                raise Unavailable(f"host {self.name}: no session within {deadline.seconds:g} s") from None
            except BaseException:
                self._uncount(link)
                raise
            else:
                link.watch(shell, stream=True)
                return link, shell

    def _uncount(self, link: Link) -> None:
        with self._lock:
            link.streams -= 1

    def _stream_link(self, deadline: Deadline) -> Link:
        """Return a connection with a session to spare for a stream, which is counted at once."""
        while True:
            main = self._connect(deadline).link
            with self._lock:
                self._bury()
                for link in (main, *self._extra):
                    most = self._limits.streams if link is main else self._limits.sessions - 1
                    if link.streams < most and time.monotonic() >= link.full_until:
                        link.streams += 1
                        return link
                widening = self._widen()
            self._await(widening, deadline)

    def _bury(self) -> None:
        """Forget further connections that are dead, and free what they hold; the lock is held."""
        for link in [link for link in self._extra if not link.alive]:
            self._extra.remove(link)
            background.start(link.close, f"ssh-close-{self.name}")

    def _widen(self) -> Future[Link]:
        """Start opening a further connection for streams; the lock is held."""
        if self._widening is None:
            if len(self._extra) + 1 >= self._tuning.links:
                raise Unavailable(
                    f"host {self.name}: too many streams: {len(self._streams)} on {self._tuning.links} connections"
                )
            self._dialler.admit()
            self._widening = background.start(partial(self._open_extra, self._dialler), f"ssh-open-{self.name}")
        return self._widening

    def _open_extra(self, dialler: Dialler) -> Link:
        link: Link | None = None
        try:
            link = dialler.dial()
            with self._lock:
                if dialler is not self._dialler:
                    raise self._closed()
                self._extra.append(link)
                opened, link = link, None
                return opened
        finally:
            with self._lock:
                if dialler is self._dialler:
                    self._widening = None
            if link is not None:
                link.close()

    # --- close

    def close(self) -> None:
        """Close the connection and all streams; what runs meanwhile ends with ConnectionLost."""
        if self._pid != os.getpid():
            return  # the parent's
        with self._lock:
            main, extra, streams = self._main, self._extra, list(self._streams)
            openings, dialler = [self._opening, self._widening], self._dialler
            self._main, self._extra, self._opening, self._widening = None, [], None, None
            self._dialler = self._new_dialler(self._shared)
        dialler.stop()
        for stream in streams:
            stream.close()
        for link in [main.link, *extra] if main else extra:
            link.close()
        for opening in openings:
            if opening is not None:
                opening.exception(self._tuning.open_timeout)
        if self._own:
            self._shared.watchdog.close()

    def _leave_parent(self) -> None:
        """After a fork, leave the parent's connection alone: close the copies of its sockets, and start afresh.

        What stood for the connection is kept for ever, so that no finalizer says a word on the wire.
        """
        if self._pid == os.getpid():
            return
        links = ([self._main.link] if self._main else []) + self._extra
        for link in links:
            link.opened.forget()
        self._abandoned += [links, self._main, self._streams, self._shared]
        self._shared, self._own = Shared(), True
        self._reset()
