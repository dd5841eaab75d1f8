"""The output of a running remote command, as it arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from interlink.errors import ConnectionLost, InterlinkError
from interlink.remote import frames
from interlink.remote.connection import Result
from interlink.remote.deadline import Deadline
from interlink.remote.remoteshell import Broken, Exchange, RemoteShell

_STDERR_LIMIT = 64 << 10


class ShellStream:
    """A `Stream` over a shell of its own. One thread iterates, any thread closes."""

    def __init__(
        self,
        shell: RemoteShell,
        request: frames.Request,
        finish: Callable[[], None],
        lost: Callable[[Broken], InterlinkError],
    ) -> None:
        """`finish` is called once, at the end of whatever kind; `lost` makes the error for a lost connection."""
        self._channel = shell.channel
        self._request, self._finish, self._lost = request, finish, lost
        self._arrived: list[bytes] = []
        self._stderr = frames.Capture(_STDERR_LIMIT)
        self._talk = Exchange(shell.channel, request.nonce, self._arrived.append, self._stderr.add)
        self._lock = threading.Lock()
        self._over = False
        self._result: Result | None = None

    def begin(self, deadline: Deadline) -> None:
        """Send the command; Broken if the connection is gone."""
        self._talk.begin(self._request, deadline)

    def __iter__(self) -> Iterator[bytes]:
        while not self._over:
            chunk = b"".join(self._arrived)
            self._arrived.clear()
            if chunk:
                yield chunk
            elif self._talk.done:
                self._result = Result(self._talk.number, b"", self._stderr.value(), self._stderr.truncated)
                self._end()
            else:
                self._wait()

    def _wait(self) -> None:
        try:
            self._talk.step(None)
        except Broken as error:
            closed_by_us = self._over
            self._end()
            if not closed_by_us:
                raise self._lost(error) from error

    def close(self) -> None:
        """End the command and its children; the iteration ends."""
        self._end()
        self._channel.ring()

    def result(self) -> Result:
        """Return the exit code and stderr of a command that has ended by itself."""
        if self._result is None:
            raise ConnectionLost("the stream was closed before its command had ended")
        return self._result

    def _end(self) -> None:
        with self._lock:
            if self._over:
                return
            self._over = True
        self._finish()
