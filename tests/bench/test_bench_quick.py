"""The harness of `inv bench` works; what it measures is for people to read, on a machine that is not busy."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.bench import command, mock, table
from tests.bench.measure import Row, Size, Target, in_turn, median_ratio, quantile
from tests.lab import shared


def finite(rows: list[Row]) -> bool:
    return all(math.isfinite(row.ours) and math.isfinite(row.over_floor or 0) for row in rows)


def test_a_target_is_for_the_ratio_unless_it_says_otherwise() -> None:
    assert Row("q", "ms", 3, 2, target=Target("<=", 2)).met is True
    assert Row("q", "ms", 5, 2, target=Target("<=", 2)).met is False
    assert Row("q", "ms", 5, 2, ratio=1.9, target=Target("<=", 2)).met is True
    assert Row("q", "pods/s", 9, 10, target=Target(">=", 0.95)).met is False
    assert Row("q", "s", 0.9, 0.1, target=Target("<=", 1, of="ours")).met is True
    assert Row("q", "s", 0.9).met is None


def test_figures_are_taken_in_turn_and_in_reverse() -> None:
    order: list[str] = []
    calls = [lambda name=name: float(not order.append(name)) for name in "ab"]
    assert in_turn(calls, 3) == [[1.0] * 3, [1.0] * 3]
    assert "".join(order) == "abbaab"


def test_quantiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert quantile([7.0], 0.99) == 7.0
    assert median_ratio([1, 2, 9], [1, 1, 1]) == 2


def test_a_row_is_shown_with_its_verdict() -> None:
    row = Row("create", "pods/s", 1.5, 3.0, target=Target(">=", 0.95), note="n")
    assert table.cells(row) == ["create", "3", "1.5", "pods/s", "0.5", ">= 0.95 x", "MISSED", "n"]


def test_the_rows_of_a_command(lab_part: Callable[[str], shared.Lab]) -> None:
    lab_part("sshd")
    rows = list(command.rows(Size(quick=True)))
    assert [row.quantity for row in rows if row.target] == ["remote command /bin/true, SSH less RTT"]
    assert len(rows) == 5
    assert finite(rows)


@pytest.mark.lab
def test_the_rows_of_a_thousand_mock_pods() -> None:
    rows = list(mock.rows(Size(quick=True)))
    named = [row for row in rows if row.quantity.startswith("/status of 1000 pods")]
    assert len(named) == 2
    assert all(row.floor and row.over_floor for row in named)
    assert finite(rows)
