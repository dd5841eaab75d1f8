"""Work by key on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from interlink.errors import Unavailable
from interlink.kubelet import workqueue
from interlink.kubelet.workqueue import WorkQueue

Work = Callable[[str], Awaitable[float | None]]


def during(scenario: Callable[[WorkQueue[str]], Awaitable[None]], work: Work, workers: int = 4) -> None:
    """Run a scenario beside the running queue."""

    async def main() -> None:
        queue = WorkQueue(work, workers)
        running = asyncio.create_task(queue.run())
        try:
            await asyncio.wait_for(scenario(queue), 20)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_a_key_added_many_times_is_worked_on_once() -> None:
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)

    async def scenario(queue: WorkQueue[str]) -> None:
        for key in ("a", "b", "a", "a", "b"):
            queue.add(key)
        assert len(queue) == 2
        await queue.idle()

    during(scenario, work)
    assert seen == ["a", "b"]


def test_a_key_is_never_worked_on_twice_at_once_and_again_if_added_meanwhile() -> None:
    now: set[str] = set()
    count = {"a": 0, "b": 0}

    async def work(key: str) -> None:
        assert key not in now
        now.add(key)
        count[key] += 1
        await asyncio.sleep(0.02)
        now.remove(key)

    async def scenario(queue: WorkQueue[str]) -> None:
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(0.01)
        for _ in range(5):
            queue.add("a")
        await queue.idle()

    during(scenario, work)
    assert count == {"a": 2, "b": 1}


def test_slow_keys_leave_workers_to_others_up_to_their_number() -> None:
    now, most = 0, 0

    async def work(key: str) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1

    async def scenario(queue: WorkQueue[str]) -> None:
        for number in range(20):
            queue.add(str(number))
        await queue.idle()

    during(scenario, work, workers=3)
    assert most == 3


def test_keys_that_wait_for_an_outage_to_end_can_be_hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "backoff", lambda failures: 1000.0)
    away, done = True, asyncio.Event()

    async def work(key: str) -> None:
        if away:
            raise Unavailable("away")
        done.set()

    async def scenario(queue: WorkQueue[str]) -> None:
        nonlocal away
        queue.add("a")
        await queue.idle()
        queue.hurry()
        await queue.idle()
        assert not done.is_set()
        away = False
        queue.hurry()
        await done.wait()
        await queue.idle()
        queue.hurry()
        assert len(queue) == 0, "what has succeeded does not wait"

    during(scenario, work)


@pytest.mark.parametrize("error", [Unavailable("away"), RuntimeError("a defect")])
def test_a_failed_key_comes_back_and_success_forgives(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(workqueue, "backoff", lambda failures: asked.append(failures) or 0.001)
    left = [error, error, None, error, None]
    ended = asyncio.Event()

    async def work(key: str) -> float | None:
        outcome = left.pop(0)
        if outcome:
            raise outcome
        if not left:
            ended.set()
            return None
        return 0.001

    async def scenario(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await ended.wait()

    during(scenario, work)
    assert asked == [1, 2, 1]


def test_the_wish_for_another_look_is_dropped_when_the_key_comes_sooner() -> None:
    looks = 0

    async def work(key: str) -> float:
        nonlocal looks
        looks += 1
        return 0.2 if looks == 1 else 1000

    async def scenario(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await queue.idle()
        queue.add("a")
        await queue.idle()
        await asyncio.sleep(0.3)

    during(scenario, work)
    assert looks == 2


def test_of_two_times_the_sooner_counts() -> None:
    seen = asyncio.Event()

    async def work(key: str) -> None:
        seen.set()

    async def scenario(queue: WorkQueue[str]) -> None:
        queue.add_after("a", 1000)
        queue.add_after("a", 0.01)
        queue.add_after("a", 1000)
        await seen.wait()

    during(scenario, work)


def test_cancelling_the_queue_cancels_its_work() -> None:
    ended: list[str] = []

    async def work(key: str) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(key)

    async def scenario(queue: WorkQueue[str]) -> None:
        queue.add("a")
        queue.add_after("b", 1000)
        await asyncio.sleep(0.01)

    during(scenario, work)
    assert ended == ["a"]


def test_backoff_grows_from_a_tenth_of_a_second_to_a_minute() -> None:
    delays = [workqueue.backoff(failures, 0.0) for failures in range(1, 13)]
    assert delays[:3] == [0.1, 0.2, 0.4]
    assert delays[-1] == 60
    assert delays == sorted(delays)
    assert all(0.8 * workqueue.backoff(3, 0.0) <= workqueue.backoff(3) <= workqueue.backoff(3, 0.0) for _ in range(50))
