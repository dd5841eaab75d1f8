"""A `Channel` over the pipes of a process on this machine."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Callable

from interlink.remote.deadline import Deadline

_CHUNK = 1 << 16


class PipeChannel:
    """The three pipes of a shell that was started unbuffered.

    A descriptor must not be closed while another thread polls it, for its number may be given to another
    file at once: whoever comes last, `wait` or `close`, frees them.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process, self._in = process, process.stdin
        self._out, self._err = process.stdout.fileno(), process.stderr.fileno()
        self._open = {self._out, self._err}
        for number in self._open:
            os.set_blocking(number, False)
        self._death = os.pidfd_open(process.pid)  # a process that the shell left behind may hold the pipes
        self._bell, self._rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._polling = self._closed = False

    @property
    def ended(self) -> bool:
        return self._closed or not self._open or self._process.poll() is not None

    @property
    def waiting(self) -> bool:
        with self._lock:
            return self._closed or bool(_poll(self._open, 0))

    def send(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._in.write(rest) :]
        except ValueError as error:  # closed by another thread
            raise OSError("the shell was closed") from error

    def pump(self, out: Callable[[bytes], None], err: Callable[[bytes], None]) -> bool:
        with self._lock:
            arrived = [
                (sink, data) for number, sink in ((self._out, out), (self._err, err)) for data in self._read(number)
            ]
        for sink, data in arrived:
            sink(data)
        return bool(arrived)

    def wait(self, deadline: Deadline | None) -> bool:
        with self._lock:
            if self._closed:
                return True
            self._polling = True
            numbers = {*self._open, self._death, self._bell}
        ready = _poll(numbers, None if deadline is None else deadline.left())
        with self._lock:
            self._polling = False
            if self._bell in ready:
                os.read(self._bell, _CHUNK)
            self._free_if_closed()
        return bool(ready) or deadline is None or not deadline.passed

    def ring(self) -> None:
        with self._lock:
            self._ring()

    def close(self) -> None:
        """Close the pipes; an idle shell ends by that."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._in.close()
            self._ring()
            self._free_if_closed()

    def _ring(self) -> None:
        if self._rope >= 0:
            os.write(self._rope, b".")

    def _read(self, number: int) -> list[bytes]:
        """Return what has arrived, a bounded part of it at a time; the lock is held."""
        chunks: list[bytes] = []
        while not self._closed and number in self._open and len(chunks) < 16:
            try:
                data = os.read(number, _CHUNK)
            except BlockingIOError:
                break
            if not data:
                self._open.discard(number)
                break
            chunks.append(data)
        return chunks

    def _free_if_closed(self) -> None:
        if not self._closed or self._polling or self._rope < 0:
            return
        for number in (self._death, self._bell, self._rope):
            os.close(number)
        self._rope = -1
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()


def _poll(numbers: set[int], seconds: float | None) -> set[int]:
    poll = select.poll()
    for number in numbers:
        poll.register(number, select.POLLIN)
    return {number for number, _ in poll.poll(None if seconds is None else seconds * 1000)}
