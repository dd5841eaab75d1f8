"""The persistent shells of one link that `run` shares among its callers."""

from __future__ import annotations

import threading
import time

from interlink.errors import HostUnreachable, InterlinkError
from interlink.remote import background
from interlink.remote.deadline import Deadline
from interlink.remote.link import Link
from interlink.remote.remoteshell import Broken, Late, NoSession, RemoteShell

_REFUSED_PAUSE = 0.2  # seconds; sshd frees a session a little after it was closed
_LOOK = 1.0  # seconds between looks at whether the link still lives


class Shells:
    """Up to `size` shells, opened as they are needed, the last used one first. Thread-safe."""

    def __init__(self, link: Link, size: int) -> None:
        self.link, self._size = link, size
        self._condition = threading.Condition()
        self._idle: list[RemoteShell] = []
        self._count = 0
        self._grow_after = 0.0

    def prime(self) -> None:
        """Open the first shell, so that streams can never take the last session."""
        try:
            shell = self.link.shell()
        except NoSession as error:
            raise HostUnreachable(
                f"host {self.link.name}: its sshd allows too few sessions on a connection (MaxSessions: 2 or more)"
            ) from error
        self._count = 1
        self.link.watch(shell)
        self._idle.append(shell)

    def take(self, deadline: Deadline) -> RemoteShell:
        """Return an idle shell, or wait for one; Late when none came in time, Broken when the link is dead."""
        with self._condition:
            while self.link.alive:
                shell = self._usable()
                if shell is not None:
                    return shell
                if deadline.passed:
                    raise Late
                self._grow()
                self._condition.wait(min(deadline.left(), _LOOK, self._pause()))
            raise Broken(self.link.reason)

    def give(self, shell: RemoteShell) -> None:
        """Take a shell back after a command that ended in order."""
        if not shell.usable:
            self.discard(shell)
            return
        with self._condition:
            self._idle.append(shell)
            self._condition.notify()

    def discard(self, shell: RemoteShell) -> None:
        """End a shell that is out of step, and whatever it runs."""
        self.link.end(shell)
        with self._condition:
            self._count -= 1
            self._condition.notify()

    def _usable(self) -> RemoteShell | None:
        while self._idle:
            shell = self._idle.pop()
            if shell.usable:
                return shell
            self.link.end(shell)
            self._count -= 1
        return None

    def _pause(self) -> float:
        left = self._grow_after - time.monotonic()
        return left if left > 0 else _LOOK

    def _grow(self) -> None:
        if self._count < self._size and time.monotonic() >= self._grow_after:
            self._count += 1
            background.start(self._add, f"ssh-shell-{self.link.name}")

    def _add(self) -> None:
        shell = None
        try:
            shell = self.link.shell()
            self.link.watch(shell)
        except NoSession:
            self._grow_after = time.monotonic() + _REFUSED_PAUSE
        except InterlinkError:
            pass  # the link is dead, which every waiter sees for itself
        with self._condition:
            if shell is None:
                self._count -= 1
            else:
                self._idle.append(shell)
            self._condition.notify_all()
