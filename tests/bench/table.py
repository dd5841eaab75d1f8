"""The rows as a table."""

from __future__ import annotations

from collections.abc import Iterable

from interlink.tasks import tables
from tests.bench.measure import Row

COLUMNS = ("QUANTITY", "FLOOR", "OURS", "UNIT", "RATIO", "TARGET", "VERDICT", "NOTE")
_VERDICTS = {None: "-", True: "met", False: "MISSED"}


def show(rows: Iterable[Row]) -> None:
    """Print them to stdout."""
    tables.show(COLUMNS, [cells(row) for row in rows])


def cells(row: Row) -> list[str]:
    """Return a row as the table shows it."""
    target = "-" if row.target is None else str(row.target)
    figures = [_figure(row.floor), _figure(row.ours), row.unit, _figure(row.over_floor)]
    return [row.quantity, *figures, target, _VERDICTS[row.met], row.note]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
