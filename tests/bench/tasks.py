"""`inv bench`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from tests.bench import command, create, crowd, exits, kubelet, kubelet_exits, mock, table
from tests.bench.measure import Row, Size

BENCHMARKS: Mapping[str, Callable[[Size], Iterator[Row]]] = {
    "command": command.rows,
    "create": create.rows,
    "exits": exits.rows,
    "mock": mock.rows,
    "crowd": crowd.rows,
    "kubelet": kubelet.rows,
    "kubelet-exits": kubelet_exits.rows,
}


@task(
    iterable=["only"],
    help={
        "only": f"one of {', '.join(BENCHMARKS)}; may be repeated",
        "quick": "try the harness in a few minutes; its figures mean little",
    },
)
def bench(_: Context, only: list[str] | None = None, quick: bool = False) -> None:
    """Measure against floors of the same run, and print one table; ends with 1 if a target is missed."""
    names = only or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise Exit(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}", code=2)
    rows: list[Row] = []
    try:
        for name in names:
            rows += _timed(name, Size(quick))
    finally:
        table.show(rows)
    if any(row.met is False for row in rows) and not quick:
        raise Exit(code=1)


def _timed(name: str, size: Size) -> list[Row]:
    begun = time.monotonic()
    print(f"{name} ...", end=" ", flush=True)
    rows = list(BENCHMARKS[name](size))
    print(f"{time.monotonic() - begun:.0f} s", flush=True)
    return rows
