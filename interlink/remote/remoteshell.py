"""A persistent shell on the other side of a channel: one request at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from interlink.remote import frames
from interlink.remote.channel import Channel
from interlink.remote.connection import Result
from interlink.remote.deadline import Deadline

Sink = Callable[[bytes], None]


class Broken(Exception):
    """The shell ended, or its connection did; whether the request was carried out is not known."""


class NoSession(Exception):
    """sshd refuses another session on this connection (MaxSessions); the connection is fine."""


class Late(Exception):
    """The deadline passed; the shell is out of step and must not be used again."""


def drop(_data: bytes) -> None:
    """Take output that nobody wants."""


class RemoteShell:
    """A `/bin/sh` that reads requests from its channel. Not thread-safe; discard it after any error."""

    def __init__(self, channel: Channel, pid: int) -> None:
        self.channel = channel
        self.pid = pid
        """Its process id and, as sshd makes it a session leader, its process group."""
        self._spoiled = False

    @classmethod
    def greet(cls, channel: Channel, first: Callable[[str], bytes], deadline: Deadline) -> RemoteShell:
        """Send `first(nonce)` to a shell that was just executed, and skip all that start-up files print."""
        nonce = frames.new_nonce()
        talk = Exchange(channel, nonce)
        talk.send(first(nonce))
        talk.finish(deadline)
        return cls(channel, talk.number)

    @property
    def usable(self) -> bool:
        """Nothing has arrived since the last answer, which would mean an end or a stray writer."""
        return not self._spoiled and not self.channel.ended and not self.channel.waiting

    def run(self, request: frames.Request, deadline: Deadline, limit: int) -> Result:
        """Carry out one request; raises Broken or Late."""
        out, err = frames.Capture(limit), frames.Capture(limit)
        talk = Exchange(self.channel, request.nonce, out.add, err.add)
        talk.begin(request, deadline)
        talk.finish(deadline)
        self._spoiled = talk.out.surplus or talk.err.surplus
        return Result(talk.number, out.value(), err.value(), out.truncated or err.truncated)


class Exchange:
    """One request and its answer, as far as it has come."""

    def __init__(self, channel: Channel, nonce: str, out: Sink = drop, err: Sink = drop) -> None:
        self._channel = channel
        self._out, self._err = out, err
        self.out = frames.Answer(nonce)
        self.err = frames.Answer(nonce)

    @property
    def done(self) -> bool:
        return self.out.done and self.err.done

    @property
    def number(self) -> int:
        """The number behind the marker of stdout: an exit code, or the pid that answers a greeting."""
        trailer = self.out.trailer or b""
        if not trailer.isdigit():
            raise Broken(f"the remote shell answered {trailer!r} where a number was expected")
        return int(trailer)

    def begin(self, request: frames.Request, deadline: Deadline) -> None:
        """Send the request; a payload follows from a thread of its own, since answers must be read meanwhile."""
        self.send(request.line)
        if request.payload is None:
            return
        while not self.out.done:
            self.step(deadline)
        if self.out.trailer != b"go":
            raise Broken("the remote shell did not ask for its input")
        self._out(self.out.restart())
        threading.Thread(target=self._feed, args=(request.payload,), name="ssh-stdin", daemon=True).start()

    def finish(self, deadline: Deadline) -> None:
        """Read to the end of both outputs."""
        while not self.done:
            self.step(deadline)

    def step(self, deadline: Deadline | None) -> None:
        """Read what has arrived, or wait for something to do so."""
        ended = self._channel.ended  # asked before reading: what came before the end is read below
        if self._channel.pump(self._take_out, self._take_err):
            return
        if ended:
            raise Broken("the remote shell ended in the middle of the command")
        if not self._channel.wait(deadline):
            raise Late

    def send(self, data: bytes) -> None:
        try:
            self._channel.send(data)
        except OSError as error:
            raise Broken(str(error)) from error

    def _take_out(self, data: bytes) -> None:
        self._out(self.out.feed(data))

    def _take_err(self, data: bytes) -> None:
        self._err(self.err.feed(data))

    def _feed(self, payload: bytes) -> None:
        """Send the payload; a failure shows as the end of the channel to whoever reads the answer."""
        view = memoryview(payload)
        try:
            for start in range(0, len(view), frames.BLOCK):
                self._channel.send(view[start : start + frames.BLOCK])
            self._channel.send(b"\n")
        except OSError:
            self._channel.ring()
