"""Waiting with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def within(seconds: float | None, work: Awaitable[T]) -> T:
    """Return what `work` returns; asyncio.TimeoutError, with `work` cancelled, where that takes longer. None: no limit.

    Not `asyncio.wait_for`: before Python 3.12 it drops a cancellation that arrives just as the work ends, and what was
    to stop goes on for ever.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task], timeout=None if seconds is None else max(seconds, 0.0))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if not done:
        raise asyncio.TimeoutError
    return task.result()


async def waited(event: asyncio.Event, seconds: float) -> bool:
    """Wait so long at most; say whether the event came."""
    try:
        return await within(seconds, event.wait())
    except asyncio.TimeoutError:
        return False
