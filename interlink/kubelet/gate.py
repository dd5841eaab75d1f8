"""The gate that all writes of a node pass: open while this process surely leads, shut in time otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from interlink.errors import Unavailable

T = TypeVar("T")


class NotLeading(Unavailable):
    """Nothing was written, or it was cut short: another kubelet may serve this node by now."""


class Gate:
    """Open until a moment on the loop's clock; what is on its way when that comes is cancelled.

    One event loop. A process that was frozen finds the gate shut when it wakes, before any timer has run.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._passing: set[asyncio.Future[Any]] = set()
        self._cut: set[asyncio.Future[Any]] = set()  # of those, what was cancelled here
        self._on_open: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        return asyncio.get_running_loop().time() < self._until

    def on_open(self, call: Callable[[], None]) -> None:
        """Call this whenever the gate opens after it was shut."""
        self._on_open.append(call)

    def open_until(self, moment: float) -> None:
        """Let writes pass until `moment`; may be called again to prolong."""
        self._stop_timer()
        was_open = self.is_open
        self._until = moment
        self._timer = asyncio.get_running_loop().call_at(moment, self.shut)
        if not was_open:
            for call in self._on_open:
                call()

    def shut(self) -> None:
        """Let nothing pass any more; idempotent."""
        self._stop_timer()
        self._until = 0.0
        for write in self._passing:
            if write.cancel():
                self._cut.add(write)

    async def run(self, write: Awaitable[T]) -> T:
        """Await a write; NotLeading if the gate is shut, or shuts before it has ended."""
        if not self.is_open:
            if asyncio.iscoroutine(write):
                write.close()
            raise NotLeading("this kubelet does not lead its node at present")
        task = asyncio.ensure_future(write)
        self._passing.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if task in self._cut:  # the gate may be open again by now
                raise NotLeading("this kubelet has lost the lead of its node") from None
            task.cancel()
            raise
        finally:
            self._passing.discard(task)
            self._cut.discard(task)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
