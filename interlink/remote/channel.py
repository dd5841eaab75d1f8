"""A session with one place to wait for both of its outputs, and for its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import paramiko

from interlink.remote.deadline import Deadline

_CHUNK = 1 << 20


class Channel(Protocol):
    """The three streams of a shell. Sending and receiving belong to one thread each, `ring` and `close` to any."""

    @property
    def ended(self) -> bool:
        """The other side has closed, or the connection is gone; data may still wait to be read."""
        ...

    @property
    def waiting(self) -> bool:
        """Output is there to be read."""
        ...

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it; OSError if the channel or the connection is closed. May block: see `watchdog`."""
        ...

    def pump(self, out: Callable[[bytes], None], err: Callable[[bytes], None]) -> bool:
        """Hand over what has arrived, without waiting; False if nothing had."""
        ...

    def wait(self, deadline: Deadline | None) -> bool:
        """Wait for output, for the end, or for `ring`; False if the deadline came first."""
        ...

    def ring(self) -> None:
        """Wake up whoever waits."""
        ...

    def close(self) -> None:
        """Close it; may block on a stalled network."""
        ...


class _Bell:
    """An event that paramiko's two buffers of a channel share.

    They clear it when one of them runs empty, when the other may still hold data; so only the waiter
    clears it, before it looks into both.
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        """Ignore paramiko's wish."""

    def wait(self, seconds: float | None) -> bool:
        rung = self._event.wait(seconds)
        self._event.clear()
        return rung


class SshChannel:
    """A `Channel` over a session of paramiko's."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._bell = _Bell()
        channel.in_buffer.set_event(self._bell)
        channel.in_stderr_buffer.set_event(self._bell)

    @property
    def ended(self) -> bool:
        return bool(self._channel.closed or self._channel.eof_received)

    @property
    def waiting(self) -> bool:
        return bool(self._channel.recv_ready() or self._channel.recv_stderr_ready())

    def send(self, data: bytes | memoryview) -> None:
        try:
            self._channel.sendall(data)
        except (EOFError, paramiko.SSHException) as error:
            raise OSError(f"the connection broke: {error}") from error

    def pump(self, out: Callable[[bytes], None], err: Callable[[bytes], None]) -> bool:
        got = False
        while self._channel.recv_ready():
            out(self._channel.recv(_CHUNK))
            got = True
        while self._channel.recv_stderr_ready():
            err(self._channel.recv_stderr(_CHUNK))
            got = True
        return got

    def wait(self, deadline: Deadline | None) -> bool:
        if deadline is None:
            return self._bell.wait(None)
        return self._bell.wait(deadline.left()) or not deadline.passed

    def ring(self) -> None:
        self._bell.set()

    def close(self) -> None:
        self._channel.close()
