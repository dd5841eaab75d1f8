"""Outcomes counted: the recap for people, the same as JSON, the differences as a unified diff; pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from interlink.deploy.steps import STATES, Difference, Outcome


def targets(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Return the outcomes by target, in the order in which targets came first."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.target, []).append(outcome)
    return found


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return how many outcomes there are of each state."""
    return {state: sum(outcome.state == state for outcome in outcomes) for state in STATES}


def well(outcomes: Sequence[Outcome]) -> bool:
    """Whether nothing went wrong."""
    return not any(outcome.bad for outcome in outcomes)


def lines(outcomes: Sequence[Outcome], *, dry_run: bool) -> Iterator[str]:
    """Yield the recap, a line for each target and one for all, and what went wrong once more."""
    grouped = targets(outcomes)
    width = max(map(len, grouped), default=0)
    for name, found in grouped.items():
        yield f"{name.ljust(width)}  " + "  ".join(f"{state}={n}" for state, n in counts(found).items())
    for outcome in outcomes:
        if outcome.bad:
            yield f"{outcome.target}: {outcome.step}: {outcome.note}"
    yield conclusion(outcomes, dry_run=dry_run)


def conclusion(outcomes: Sequence[Outcome], *, dry_run: bool) -> str:
    """Return the last line: what changed, and whether all is well."""
    bad = [name for name, found in targets(outcomes).items() if not well(found)]
    changed = counts(outcomes)["changed"]
    did = f"{changed} {'would change' if dry_run else 'changed'}" if changed else "nothing changed"
    if dry_run and not changed:
        did = "nothing would change"
    return f"{did}; " + (f"not well: {', '.join(bad)}" if bad else "all is well")


def as_json(outcomes: Sequence[Outcome], *, dry_run: bool) -> dict[str, Any]:
    """Return the recap for programs; the texts of differences stay out: they may be secret."""
    return {
        "ok": well(outcomes),
        "dry_run": dry_run,
        "changed": counts(outcomes)["changed"],
        "targets": [
            {
                "name": name,
                **counts(found),
                "steps": [
                    {
                        "name": outcome.step,
                        "state": outcome.state,
                        "note": outcome.note,
                        "differences": [difference.what for difference in outcome.differences],
                    }
                    for outcome in found
                ],
            }
            for name, found in targets(outcomes).items()
        ],
    }


def diff(difference: Difference) -> str:
    """Return a difference as a unified diff; only its name where it has no texts."""
    if not difference.before and not difference.after:
        return f"{difference.what}\n"
    parts = difflib.unified_diff(
        difference.before.splitlines(keepends=True),
        difference.after.splitlines(keepends=True),
        f"{difference.what} (now)",
        f"{difference.what} (wanted)",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in parts)
