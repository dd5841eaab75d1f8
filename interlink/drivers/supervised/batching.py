"""What several threads ask for at the same time, asked for in one go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Order = TypeVar("Order")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Waiting(Generic[Order, Answer]):
    order: Order
    key: str
    answer: tuple[Answer] | None = None
    error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        return self.answer is not None or self.error is not None


class Batching(Generic[Order, Answer]):
    """Carries out orders in batches: while one batch is under way, the next gathers.

    Nobody waits for others to come, nor longer than `patience` seconds for a batch that is slow. `carry_out` returns
    an answer for each order, in their order; if it raises, all of them have failed with that. Of two orders with the
    same key, the later is of a later batch. Thread-safe.
    """

    def __init__(
        self, carry_out: Callable[[Sequence[Order]], Sequence[Answer]], *, most: int = 16, patience: float = 1.0
    ) -> None:
        self._carry_out, self._most, self._patience = carry_out, most, patience
        self._waiting: list[_Waiting[Order, Answer]] = []
        self._free_at = 0.0  # by the monotonic clock: when the next batch may begin, whatever is under way
        self._changed = threading.Condition()

    def ask(self, key: str, order: Order) -> Answer:
        """Have the order carried out; return its answer."""
        own = _Waiting[Order, Answer](order, key)
        with self._changed:
            self._waiting.append(own)
        while (batch := self._batch_or_end(own)) is not None:
            self._run(batch)
        if own.answer is None:
            assert own.error is not None
            raise own.error
        return own.answer[0]

    def _batch_or_end(self, own: _Waiting[Order, Answer]) -> list[_Waiting[Order, Answer]] | None:
        """Wait until the order is over, None then, or until a batch may begin that gets it on."""
        with self._changed:
            while not own.is_over:
                slow = self._free_at - time.monotonic()
                if own in self._waiting and slow <= 0:
                    self._free_at = time.monotonic() + self._patience
                    return self._take()
                self._changed.wait(slow if own in self._waiting else None)
            return None

    def _take(self) -> list[_Waiting[Order, Answer]]:
        """Take the first of each key out of what waits."""
        batch = list({one.key: one for one in reversed(self._waiting)}.values())[::-1][: self._most]
        self._waiting = [one for one in self._waiting if one not in batch]
        return batch

    def _run(self, batch: Sequence[_Waiting[Order, Answer]]) -> None:
        try:
            answers = self._carry_out([one.order for one in batch])
            for one, answer in zip(batch, answers, strict=True):
                one.answer = (answer,)
        except BaseException as error:
            for one in batch:
                one.error = error
        finally:
            with self._changed:
                self._free_at = 0.0
                self._changed.notify_all()
