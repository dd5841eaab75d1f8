"""The gate of a node's writes: shut in time, whatever is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from interlink.kubelet.gate import Gate, NotLeading


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def now() -> float:
    return asyncio.get_running_loop().time()


async def written(log: list[str]) -> str:
    log.append("written")
    return "answer"


def test_nothing_passes_a_gate_that_was_never_opened() -> None:
    async def work() -> None:
        log: list[str] = []
        with pytest.raises(NotLeading):
            await Gate().run(written(log))
        assert log == []

    run(work())


def test_an_open_gate_passes_answers_and_errors() -> None:
    async def wrong() -> None:
        raise ValueError("its own")

    async def work() -> None:
        gate, log = Gate(), list[str]()
        gate.open_until(now() + 60)
        assert await gate.run(written(log)) == "answer"
        with pytest.raises(ValueError, match="its own"):
            await gate.run(wrong())
        gate.shut()

    run(work())


def test_it_shuts_by_itself_and_cuts_what_is_on_its_way() -> None:
    async def work() -> None:
        gate, cut = Gate(), asyncio.Event()

        async def slow() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cut.set()

        gate.open_until(now() + 0.05)
        with pytest.raises(NotLeading):
            await gate.run(slow())
        assert cut.is_set()
        assert not gate.is_open

    run(work())


def test_what_is_cut_says_so_even_if_the_gate_is_open_again_by_then() -> None:
    async def work() -> None:
        gate = Gate()
        gate.open_until(now() + 60)
        waiting = asyncio.ensure_future(gate.run(asyncio.sleep(60)))
        await asyncio.sleep(0.01)
        gate.shut()
        gate.open_until(now() + 60)  # a renewal whose answer came in the same moment
        with pytest.raises(NotLeading):
            await waiting
        gate.shut()

    run(work())


def test_a_process_that_was_frozen_finds_it_shut_before_any_timer_has_run() -> None:
    async def work() -> None:
        gate, log = Gate(), list[str]()
        gate.open_until(now() + 0.01)
        until = now() + 0.05
        while now() < until:  # no await: the loop has no chance to run its timers
            pass
        with pytest.raises(NotLeading):
            await gate.run(written(log))
        assert log == []

    run(work())


def test_renewal_prolongs_it() -> None:
    async def work() -> None:
        gate, log = Gate(), list[str]()
        gate.open_until(now() + 0.05)
        gate.open_until(now() + 60)
        await asyncio.sleep(0.1)
        await gate.run(written(log))
        gate.shut()
        assert log == ["written"]

    run(work())


def test_it_says_when_it_opens_again() -> None:
    async def work() -> None:
        gate, heard = Gate(), list[str]()
        gate.on_open(lambda: heard.append("open"))
        gate.open_until(now() + 0.01)
        await asyncio.sleep(0.05)
        assert not gate.is_open
        gate.open_until(now() + 60)
        gate.open_until(now() + 90)
        gate.shut()
        assert heard == ["open", "open"]

    run(work())


def test_who_waits_may_be_cancelled_and_the_write_ends_with_it() -> None:
    async def work() -> None:
        gate, cut = Gate(), asyncio.Event()

        async def slow() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cut.set()

        gate.open_until(now() + 60)
        waiting = asyncio.create_task(gate.run(slow()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(cut.wait(), 5)
        gate.shut()

    run(work())
