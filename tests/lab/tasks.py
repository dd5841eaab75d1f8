"""`inv lab.*`: the lab by hand."""

from __future__ import annotations

from collections.abc import Sequence

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from tests.lab import describe, machine, process, shared


@task(help={"parts": f"list of {', '.join(machine.PARTS)} (default: all, the slow ones made ready only)"})
def up(_: Context, parts: str = "") -> None:
    """Install what is missing and start the lab's parts."""
    wanted = [part for part in parts.split(",") if part]
    bring_up(wanted or machine.QUICK, ready=wanted or machine.PARTS)


@task(help={"force": "also while tests use it"})
def down(_: Context, force: bool = False) -> None:
    """Stop the lab and delete its files."""
    try:
        shared.Lab().down(force=force)
    except process.LabError as error:
        raise Exit(str(error), code=1) from error


@task
def status(_: Context) -> None:
    """Tell which parts run."""
    print(describe.table({part: "up" if alive else "down" for part, alive in shared.Lab().status().items()}))


@task
def env(_: Context) -> None:
    """Print the commands that reach each part by hand."""
    print(describe.commands(shared.Lab()))


def bring_up(parts: Sequence[str], ready: Sequence[str]) -> None:
    """Install and build for `ready`, start `parts`, telling what it cost; Exit with the reason if that fails."""
    try:
        if machine.is_root() and (installed := machine.install(ready)):
            print(f"installed: {' '.join(installed)}")
        seconds = shared.Lab().up(*parts)
    except process.LabError as error:
        raise Exit(str(error), code=1) from error
    print(describe.table({part: f"{taken:.2f} s" for part, taken in seconds.items()}))


collection = Collection("lab", up, down, status, env)
