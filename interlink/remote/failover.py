"""One cluster by any of its login nodes: the one that answers is used, until it does not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from interlink.errors import ConnectionLost, DeadlineExceeded, HostUnreachable
from interlink.remote.connection import Connection, Result, Stream

log = logging.getLogger(__name__)
T = TypeVar("T")
Clock = Callable[[], float]
_REST = 60.0  # seconds for which a member that failed is asked after all others


class FailoverConnection:
    """A `Connection` made of several that lead to the same files and the same scheduler. Thread-safe.

    Only what certainly was not sent is sent through another member. A member that broke in the middle of a call
    is passed over for a while, and then is as good as any; as long as one works, it is kept.
    """

    def __init__(
        self, name: str, members: Sequence[Connection], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._members, self._clock = tuple(members), clock
        self._current = 0
        self._failed: dict[int, float] = {}
        self._lock = threading.Lock()

    @property
    def current(self) -> str:
        """The name of the member that is used."""
        return self._members[self._current].name

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0, limit: int = 64 << 20) -> Result:
        """See `Connection.run`."""
        return self._try(lambda member: member.run(script, stdin=stdin, timeout=timeout, limit=limit))

    def stream(self, script: str, *, timeout: float = 30.0) -> Stream:
        """See `Connection.stream`."""
        return self._try(lambda member: member.stream(script, timeout=timeout))

    def close(self) -> None:
        for member in self._members:
            member.close()

    def _try(self, call: Callable[[Connection], T]) -> T:
        reasons = []
        for index in self._order():
            try:
                answer = call(self._members[index])
            except HostUnreachable as error:
                self._leave(index)
                reasons.append(str(error))
            except (ConnectionLost, DeadlineExceeded):
                self._leave(index)
                raise
            else:
                self._stay(index)
                return answer
        raise HostUnreachable(f"cluster {self.name}: no login node answers: {'; '.join(reasons)}")

    def _order(self) -> list[int]:
        """Return the members: the current one first, those that failed lately last, longest ago before the others."""
        with self._lock:
            now, current = self._clock(), self._current
            self._failed = {index: at for index, at in self._failed.items() if now - at < _REST}
            return sorted(range(len(self._members)), key=lambda i: (self._failed.get(i, -1.0), i != current, i))

    def _leave(self, index: int) -> None:
        with self._lock:
            self._failed[index] = self._clock()

    def _stay(self, index: int) -> None:
        with self._lock:
            self._failed.pop(index, None)
            if index != self._current:
                log.warning("cluster %s: now by %s", self.name, self._members[index].name)
                self._current = index
