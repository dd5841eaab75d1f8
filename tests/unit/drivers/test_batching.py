"""Orders of several threads travel together, and each gets its own answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from interlink.drivers.supervised.batching import Batching

PATIENCE = 30.0


@dataclass
class Road:
    """Holds every batch up until it is let through."""

    batches: list[list[str]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    allowed: int = 0
    error: BaseException | None = None

    def carry_out(self, orders: Sequence[str]) -> list[str]:
        with self.news:
            self.batches.append(list(orders))
            number = len(self.batches)
            self.news.notify_all()
            assert self.news.wait_for(lambda: self.allowed >= number, PATIENCE)
            if self.error is not None:
                raise self.error
        return [f"{order}!" for order in orders]

    def until(self, batches: int) -> list[list[str]]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.batches) >= batches, PATIENCE)
            return list(self.batches)

    def allow(self, batches: int) -> None:
        with self.news:
            self.allowed = batches
            self.news.notify_all()


def waiting(batching: Batching[str, str], count: int) -> None:
    """Return when so many orders wait for a batch."""
    until = time.monotonic() + PATIENCE
    while len(batching._waiting) != count:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_comes_while_a_batch_is_under_way_is_the_next() -> None:
    road = Road()
    batching = Batching(road.carry_out, patience=PATIENCE)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batching.ask, "a", "a")
        assert road.until(1) == [["a"]]
        rest = [pool.submit(batching.ask, name, name) for name in "bcd"]
        waiting(batching, 3)
        road.allow(1)
        assert sorted(road.until(2)[1]) == ["b", "c", "d"]
        road.allow(2)
        assert [one.result(PATIENCE) for one in (first, *rest)] == ["a!", "b!", "c!", "d!"]


def test_a_slow_batch_holds_up_nobody() -> None:
    road = Road()
    batching = Batching(road.carry_out, patience=0.1)
    with ThreadPoolExecutor(8) as pool:
        asked: list[Future[str]] = []
        for number, name in enumerate("abc", start=1):
            asked.append(pool.submit(batching.ask, name, name))
            assert road.until(number)[-1] == [name]
        road.allow(9)
        assert [one.result(PATIENCE) for one in asked] == ["a!", "b!", "c!"]


def test_a_batch_has_a_size_and_nobody_is_left_behind() -> None:
    road = Road()
    batching = Batching(road.carry_out, most=2, patience=PATIENCE)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(batching.ask, str(n), str(n)) for n in range(7)]
        road.allow(99)
        assert [one.result(PATIENCE) for one in asked] == [f"{n}!" for n in range(7)]
    assert max(map(len, road.batches)) <= 2


def test_two_orders_for_the_same_are_not_of_one_batch() -> None:
    road = Road()
    batching = Batching(road.carry_out, patience=PATIENCE)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(batching.ask, "a", "a")]
        road.until(1)
        asked += [pool.submit(batching.ask, key, f"{key}{n}") for key in "bc" for n in range(2)]
        waiting(batching, 4)
        road.allow(99)
        for one in asked:
            one.result(PATIENCE)
    assert [sorted(order[0] for order in batch) for batch in road.batches] == [["a"], ["b", "c"], ["b", "c"]]


def test_an_error_is_that_of_every_order_of_the_batch_and_of_no_other() -> None:
    road = Road(error=ConnectionError("lost"))
    batching = Batching(road.carry_out, patience=PATIENCE)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(batching.ask, "a", "a")]
        road.until(1)
        asked += [pool.submit(batching.ask, name, name) for name in "bc"]
        waiting(batching, 2)
        road.allow(2)
        for one in asked:
            with pytest.raises(ConnectionError, match="lost"):
                one.result(PATIENCE)
        road.error = None
        road.allow(3)
        assert batching.ask("d", "d") == "d!"
