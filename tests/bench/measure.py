"""What a benchmark yields, and how it compares; pure but for clocks."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal


@dataclass(frozen=True)
class Target:
    """What the ratio (or, of `ours`, the figure itself) has to be."""

    relation: Literal["<=", ">="]
    value: float
    of: Literal["ratio", "ours"] = "ratio"

    def met(self, figure: float) -> bool:
        return figure <= self.value if self.relation == "<=" else figure >= self.value

    def __str__(self) -> str:
        return f"{self.relation} {self.value:g}{' x' if self.of == 'ratio' else ''}"


@dataclass(frozen=True)
class Row:
    """One line of the table; a row without a target only informs."""

    quantity: str
    unit: str
    ours: float
    floor: float | None = None
    ratio: float | None = None  # instead of ours / floor, e.g. the median of the pairs' ratios
    target: Target | None = None
    note: str = ""

    @property
    def over_floor(self) -> float | None:
        if self.ratio is not None:
            return self.ratio
        return self.ours / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        figure = self.ours if self.target.of == "ours" else self.over_floor
        return figure is not None and self.target.met(figure)


@dataclass(frozen=True)
class Size:
    """How much to measure; `quick` tries the harness rather than the product, the others save time."""

    quick: bool = False
    most_rounds: int | None = None
    most_pods: int | None = None

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def rounds(self, full: int) -> int:
        """Return how often to take each figure."""
        return 1 if self.quick else min(full, self.most_rounds or full)

    def pods(self, full: int, quick: int) -> int:
        """Return with how many pods; on a slow machine fewer say the same."""
        return quick if self.quick else min(full, self.most_pods or full)


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def in_turn(calls: Sequence[Callable[[], float]], rounds: int) -> list[list[float]]:
    """Take so many figures of each, in turn and every other round in reverse order; a list for each."""
    found: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    for _, numbers in zip(range(rounds), cycle((order, order[::-1])), strict=False):
        for number in numbers:
            found[number].append(calls[number]())
    return found


def median_ratio(ours: Iterable[float], floor: Iterable[float]) -> float:
    """Return the median of the pairs' ratios: what the machine does meanwhile hits both of a pair."""
    return statistics.median(a / b for a, b in zip(ours, floor, strict=True))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all does not exceed, by the nearest rank."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def wait(look: Callable[[], object], what: str, timeout: float, pause: float = 0.05) -> None:
    """Return once `look` is true; TimeoutError otherwise. The looks become rarer, so that they cost few per cent."""
    begun = time.monotonic()
    while not look():
        waited = time.monotonic() - begun
        if waited > timeout:
            raise TimeoutError(f"not within {timeout:.0f} s: {what}")
        time.sleep(max(pause, waited / 50))
