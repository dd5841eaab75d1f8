"""What a deployment is made of: steps that look at one machine and mend what differs; data alone.

A step may be cut off anywhere (Ctrl-C, a lost connection): its `look` tells what is missing, however it came about,
and its `mend` can be repeated. So the next run repairs whatever an earlier one has left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "changed", "failed", "unreachable", "skipped"]
STATES: tuple[State, ...] = ("ok", "changed", "failed", "unreachable", "skipped")


@dataclass(frozen=True)
class Difference:
    """One thing that is not as wanted; `before` and `after` are texts to compare, "" where there are none."""

    what: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Finding:
    """What a look has shown; without differences all is as wanted."""

    note: str = ""
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Step:
    """One thing that is wanted of a machine.

    `look` changes nothing, and raises an InterlinkError with the cure for what cannot be mended from here.
    `mend` makes it as wanted; None where there is nothing that we could do. A `probe` has to run something
    there, and is left out of a dry run.
    """

    name: str
    look: Callable[[], Finding]
    mend: Callable[[], None] | None = None
    probe: bool = False


@dataclass(frozen=True)
class Plan:
    """The steps for one machine, in their order; the first one that fails ends it."""

    target: str
    steps: Sequence[Step]


@dataclass(frozen=True)
class Outcome:
    """What became of one step; in a dry run "changed" means that it would be."""

    target: str
    step: str
    state: State
    note: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def bad(self) -> bool:
        return self.state in ("failed", "unreachable")
