"""`inv bench`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from tests.bench import command, create, crowd, exits, kubelet, kubelet_exits, mock, slurm, table
from tests.bench.measure import Row, Size

BENCHMARKS: Mapping[str, Callable[[Size], Iterator[Row]]] = {
    "command": command.rows,
    "create": create.rows,
    "exits": exits.rows,
    "mock": mock.rows,
    "crowd": crowd.rows,
    "kubelet": kubelet.rows,
    "kubelet-kwok": kubelet.beside_kwok,
    "kubelet-exits": kubelet_exits.rows,
    "slurm": slurm.rows,
}


@task(
    iterable=["only"],
    help={
        "only": f"one of {', '.join(BENCHMARKS)}; may be repeated",
        "quick": "try the harness in a few minutes; its figures mean little",
        "rounds": "take each figure at most so often, on a slow machine",
        "pods": "crowds of pods of the kubelet's benchmarks are at most so large",
    },
)
def bench(_: Context, only: list[str] | None = None, quick: bool = False, rounds: int = 0, pods: int = 0) -> None:
    """Measure against floors of the same run, and print one table; ends with 1 if a target is missed."""
    names = only or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise Exit(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}", code=2)
    for name, number in (("rounds", rounds), ("pods", pods)):
        if number < 0:
            raise Exit(f"--{name} must be a number above 0, not {number}", code=2)
    rows: list[Row] = []
    try:
        for name in names:
            for row in _timed(name, Size(quick, rounds or None, pods or None)):
                rows.append(row)
                print(" ", *table.cells(row), sep="  ", file=sys.stderr, flush=True)
    finally:
        table.show(rows)
    if any(row.met is False for row in rows) and not quick:
        raise Exit(code=1)


def _timed(name: str, size: Size) -> Iterator[Row]:
    begun = time.monotonic()
    print(f"{name} ...", file=sys.stderr, flush=True)
    yield from BENCHMARKS[name](size)
    print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
