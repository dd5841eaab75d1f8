"""What people see of a deployment while it runs: a live table on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from interlink.deploy import recap
from interlink.deploy.execution import Observer
from interlink.deploy.steps import Outcome

_STYLES = {"ok": "green", "changed": "yellow", "failed": "bold red", "unreachable": "bold red", "skipped": "dim"}


class Lines(Observer):
    """A line for each step, as it ends; with `diff` what differs as well."""

    def __init__(self, *, diff: bool) -> None:
        self._diff, self._lock = diff, threading.Lock()

    def ended(self, outcome: Outcome) -> None:
        note = f": {outcome.note}" if outcome.note else ""
        told = [f"{outcome.state}: {outcome.target}: {outcome.step}{note}"]
        if self._diff:
            told += [recap.diff(difference).rstrip("\n") for difference in outcome.differences]
        with self._lock:
            print("\n".join(told), flush=True)


class Board(Observer):
    """A table of all targets that is kept current; what changes or fails is printed above it, once."""

    def __init__(self, live: Live, targets: Sequence[str], *, diff: bool) -> None:
        self._live, self._diff, self._lock = live, diff, threading.Lock()
        self._step = dict.fromkeys(targets, "waiting")
        self._outcomes: dict[str, list[Outcome]] = {target: [] for target in targets}

    def began(self, target: str, step: str) -> None:
        with self._lock:
            self._step[target] = step
            self._live.update(self._table())

    def ended(self, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes[outcome.target].append(outcome)
            self._step[outcome.target] = outcome.step
            if outcome.state not in ("ok", "skipped"):
                style = _STYLES[outcome.state]
                where = f"{outcome.target}: {outcome.step}"
                self._live.console.print(f"[{style}]{outcome.state}[/]: {escape(where)}: {escape(outcome.note)}")
                if self._diff:
                    for difference in outcome.differences:
                        self._live.console.print(escape(recap.diff(difference)), highlight=False)
            self._live.update(self._table())

    def _table(self) -> Table:
        table = Table("HOST", "STEP", "OK", "CHANGED", "FAILED", box=box.SIMPLE_HEAD)
        for target, found in self._outcomes.items():
            counted = recap.counts(found)
            style = next((_STYLES[o.state] for o in reversed(found) if o.bad), "")
            bad = counted["failed"] + counted["unreachable"]
            cells = (target, self._step[target], str(counted["ok"]), str(counted["changed"]), str(bad or ""))
            table.add_row(*map(escape, cells), style=style)
        return table


@contextmanager
def watching(targets: Sequence[str], *, diff: bool, quiet: bool = False) -> Iterator[Observer]:
    """Show what happens to these targets until the context is left; nothing if it is to be `quiet`."""
    if quiet:
        yield Observer()
    elif not sys.stdout.isatty():
        yield Lines(diff=diff)
    else:
        with Live(console=Console(), refresh_per_second=8, transient=True) as live:
            yield Board(live, targets, diff=diff)
