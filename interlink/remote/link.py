"""One open connection with its guardian, its pool of shells, and the thread that keeps it alive."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from interlink.errors import HostUnreachable
from interlink.remote import frames, guardian
from interlink.remote.channel import Channel
from interlink.remote.deadline import Deadline
from interlink.remote.remoteshell import Broken, Late, NoSession, RemoteShell, drop
from interlink.remote.tuning import Tuning
from interlink.remote.watchdog import Watchdog

_LOOK = 0.2  # seconds between looks at whether the link still lives


class Opened(Protocol):
    """An open way to a host: SSH's, or this machine's own. A far one can vanish without a word."""

    @property
    def far(self) -> bool: ...

    @property
    def alive(self) -> bool: ...

    def session(self, deadline: Deadline) -> Channel:
        """Execute `frames.SHELL` in a new session; NoSession or Broken."""
        ...

    def abort(self) -> None:
        """Cut it off without blocking: every waiting call in it fails at once."""
        ...

    def close(self) -> None:
        """Close it and free everything; `abort`, called meanwhile, frees this call."""
        ...

    def forget(self) -> None:
        """In a forked child: drop it without a word to the other side."""
        ...


class Link:
    """An open connection. Thread-safe; nothing is sent before `start`, nothing works after `abort` or `close`."""

    def __init__(self, name: str, opened: Opened, tuning: Tuning, watchdog: Watchdog) -> None:
        self.name, self.opened = name, opened
        self._tuning, self._watchdog = tuning, watchdog
        self._errands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._guardian: RemoteShell | None = None
        self._words = itertools.count(1)
        self._keeper = threading.Thread(target=self._keep, name=f"ssh-keeper-{name}", daemon=True)
        self.on_ping: Callable[[], None] = lambda: None
        """Called between pings; must not block."""
        self.streams = 0
        """Streams that hold a session; counted by the owner, under its lock."""
        self.full_until = 0.0
        """sshd refused a session; no stream asks for one before this (monotonic) time."""
        self.reason = "it was closed"

    @property
    def alive(self) -> bool:
        return not self._over.is_set() and self.opened.alive

    def start(self) -> None:
        """Start the guardian; HostUnreachable if the host gives no session or no answer."""
        deadline = Deadline(self._tuning.session_timeout)
        program = partial(
            guardian.program, silence=self._tuning.silence if self.opened.far else 0, grace=self._tuning.grace
        )
        try:
            with self._watchdog.guard(self._tuning.session_timeout + 1, self.abort):
                self._guardian = self._shell(program, deadline)
        except (Broken, Late, NoSession) as error:
            self.close()
            raise HostUnreachable(
                f"host {self.name}: logged in, but /bin/sh does not answer: {str(error) or 'no answer in time'}"
            ) from error
        self._keeper.start()

    def shell(self) -> RemoteShell:
        """Open a shell and put it under guard; NoSession, or HostUnreachable if the connection went meanwhile.

        Blocks for `session_timeout` at most; then the connection is given up, since an sshd that does not
        open a session in this time does nothing else either.
        """
        deadline = Deadline(self._tuning.session_timeout)
        try:
            with self._watchdog.guard(self._tuning.session_timeout, self.abort):
                return self._shell(frames.hello, deadline)
        except (Broken, Late) as error:
            self.abort("no new session could be opened")
            raise HostUnreachable(
                f"host {self.name}: a shell could not be started ({str(error) or 'no answer'}); nothing was sent"
            ) from error

    def _shell(self, first: Callable[[str], bytes], deadline: Deadline) -> RemoteShell:
        channel = self.opened.session(deadline)
        try:
            return RemoteShell.greet(channel, first, deadline)
        except BaseException:
            channel.close()
            raise

    def watch(self, shell: RemoteShell, *, stream: bool = False) -> None:
        """Have the host end the shell's process group when the connection is lost.

        Returns once the host has been told, or the connection is over: whoever runs something in the shell
        before that, and is killed, would leave it running for ever.
        """
        told = threading.Event()
        line = guardian.order("s" if stream else "w", shell.pid)
        self._errands.put(lambda: self._tell_and_set(line, told))
        while self.alive and not told.wait(_LOOK):
            pass

    def end(self, shell: RemoteShell) -> None:
        """End a shell with its command and all children, without waiting for it."""
        self._errands.put(partial(self._tell, guardian.order("k", shell.pid)))
        self._errands.put(shell.channel.close)

    def abort(self, reason: str = "the host does not answer") -> None:
        """Give the connection up without blocking: every call in it fails at once."""
        if not self._over.is_set():
            self.reason = reason
        self._over.set()
        self.opened.abort()
        self._errands.put(None)

    def close(self) -> None:
        """Run the errands that wait, close the connection, and wait until its threads have ended."""
        with self._watchdog.guard(self._tuning.patience, self.opened.abort):
            self._errands.put(None)
            if self._keeper.is_alive():
                self._keeper.join()
            self._over.set()
            self.opened.close()

    def _tell(self, line: bytes) -> None:
        assert self._guardian is not None
        self._guardian.channel.send(line)

    def _tell_and_set(self, line: bytes, told: threading.Event) -> None:
        self._tell(line)
        told.set()

    def _keep(self) -> None:
        """Run errands in order, and ping in between; whatever fails here is the end of the connection."""
        ping_at = time.monotonic() + self._tuning.ping_interval
        while not self._over.is_set():
            try:
                errand: Any = self._errands.get(timeout=max(0.0, ping_at - time.monotonic()))
            except queue.Empty:
                errand = self._ping
                self.on_ping()
                ping_at = time.monotonic() + self._tuning.ping_interval
            if errand is None:
                break
            try:
                with self._watchdog.guard(self._tuning.ping_timeout + 1, self.abort):
                    errand()
            except (OSError, Broken, Late):
                self.abort()

    def _ping(self) -> None:
        """Ask the guardian for a word; it proves that sshd and the host are alive, and tells it that we are."""
        assert self._guardian is not None
        channel, deadline = self._guardian.channel, Deadline(self._tuning.ping_timeout)
        word = f"{next(self._words)}\n".encode()
        channel.send(b"p " + word)
        heard = bytearray()
        while not heard.endswith(word):
            ended = channel.ended
            if not channel.pump(heard.extend, drop):
                if ended:
                    raise Broken("the guardian has ended")
                if not channel.wait(deadline):
                    raise Late


class Dialler(Protocol):
    """Opens links to one host."""

    def admit(self) -> None:
        """Count an attempt, or raise HostUnreachable while it is too early for one."""
        ...

    def dial(self) -> Link:
        """Open and start a link; HostUnreachable or its children."""
        ...

    def stop(self) -> None:
        """Cut off what is being opened."""
        ...
