"""Streams every attempt of every container to one output, each line with its container's name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from interlink import errors
from interlink.model.driver import LogQuery, LogStream
from interlink.model.pod import PodRef
from interlink.model.status import ContainerStatus, Running, Terminated

Write = Callable[[str, bytes], None]  # (prefix, one whole line)


class Logging(Protocol):
    """Whoever has the logs."""

    def logs(self, query: LogQuery) -> LogStream: ...


@dataclass
class ContainerLog:
    """Follows one container through its attempts, in a thread of its own; nothing is printed twice."""

    driver: Logging
    pod: PodRef
    container: str
    prefix: str
    write: Write
    _attempts: int = 0  # how many have begun, by what was observed
    _ended: bool = False  # there will be no further attempt
    _closed: bool = False
    _trouble: str = ""  # why the last attempt's log is not whole
    _stream: LogStream | None = None
    _thread: threading.Thread | None = None
    _wake: threading.Condition = field(default_factory=threading.Condition)

    def observe(self, status: ContainerStatus) -> None:
        """Take note of the container's state; start following once there is something to read."""
        begun = status.restart_count + int(isinstance(status.state, Running | Terminated) or bool(status.last_state))
        with self._wake:
            self._attempts = max(self._attempts, begun)
            self._wake.notify_all()
        if begun and not self._thread:
            self._thread = threading.Thread(target=self._follow, name=f"log {self.prefix}", daemon=True)
            self._thread.start()

    def finish(self, timeout: float) -> str:
        """Say that the pod has ended; wait at most `timeout` seconds for the rest of the log, then let go.

        Returns why the log is not whole, "" if it is.
        """
        with self._wake:
            self._ended = True
            self._wake.notify_all()
        if not self._thread:
            return ""
        self._thread.join(timeout)
        late = self._thread.is_alive()
        self.close()
        self._thread.join(5)
        return self._trouble or (f"it was not all there after {timeout:g} s" if late else "")

    def close(self) -> None:
        """Stop following at once."""
        with self._wake:
            self._ended = self._closed = True
            stream = self._stream
            self._wake.notify_all()
        if stream:
            stream.close()

    def _follow(self) -> None:
        attempt = 0
        while self._wait_for(attempt + 1):
            self._copy(LogQuery(self.pod, self.container, follow=True, attempt=attempt))
            attempt += 1

    def _wait_for(self, attempt: int) -> bool:
        with self._wake:
            self._wake.wait_for(lambda: self._ended or self._attempts >= attempt)
            return self._attempts >= attempt

    def _copy(self, query: LogQuery) -> None:
        """Write one attempt's log; a broken stream is opened again and continued where it broke."""
        seen, lines = 0, Lines(self.prefix, self.write)
        while True:
            skip = seen
            try:
                stream = self.driver.logs(query)
                with self._wake:
                    self._stream = stream
                for chunk in stream:
                    fresh = chunk[skip:]
                    skip = max(0, skip - len(chunk))
                    seen += len(fresh)
                    lines.feed(fresh)
                self._trouble = ""
                break
            except (errors.NotFound, errors.InvalidPod) as error:
                self._trouble = str(error)
                break
            except errors.InterlinkError as error:
                self._trouble = str(error)
                if self._pause():
                    break
            finally:
                with self._wake:
                    current, self._stream = self._stream, None
                if current:
                    current.close()
        lines.end()

    def _pause(self) -> bool:
        """Wait a moment before the next try; say whether nobody wants it any more."""
        with self._wake:
            return self._wake.wait_for(lambda: self._closed, 0.5)


@dataclass
class Lines:
    """Cuts chunks into lines; the last line of a log may lack its newline."""

    prefix: str
    write: Write
    rest: bytes = b""

    def feed(self, chunk: bytes) -> None:
        *whole, self.rest = (self.rest + chunk).split(b"\n")
        for line in whole:
            self.write(self.prefix, line)

    def end(self) -> None:
        if self.rest:
            self.write(self.prefix, self.rest)
            self.rest = b""
