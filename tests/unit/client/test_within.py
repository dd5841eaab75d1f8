"""Waiting with a limit: a cancellation always arrives, whenever it comes."""

from __future__ import annotations

import asyncio

import pytest

from interlink.client.within import waited, within


async def cancelled_after(ticks: int) -> tuple[bool, bool]:
    """Cancel a wait so many turns of the loop after its event; say whether that was in time, and whether it ended."""
    event, went_on = asyncio.Event(), False

    async def waits() -> None:
        nonlocal went_on
        await within(60, event.wait())
        went_on = True
        await asyncio.sleep(60)

    task = asyncio.ensure_future(waits())
    for _ in range(5):
        await asyncio.sleep(0)
    event.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    before = went_on
    task.cancel()
    await asyncio.wait([task], timeout=5)
    ended = task.cancelled()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return before, ended


@pytest.mark.parametrize("ticks", range(8))
def test_a_cancellation_that_comes_as_the_work_ends_is_not_lost(ticks: int) -> None:
    _, ended = asyncio.run(cancelled_after(ticks))
    assert ended


def test_the_turns_of_the_loop_lie_on_both_sides_of_the_end() -> None:
    assert {asyncio.run(cancelled_after(ticks))[0] for ticks in range(8)} == {False, True}


def test_work_that_takes_too_long_is_cancelled() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("yes")

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, work())
        assert ended == ["yes"]
        assert await waited(asyncio.Event(), 0.01) is False
        with pytest.raises(ValueError, match="why"):
            await within(60, failing())

    async def failing() -> None:
        raise ValueError("why")

    asyncio.run(main())
