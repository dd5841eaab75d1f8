"""`inv test` and `inv lint`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from tests.lab import machine, process, shared
from tests.lab import tasks as lab_tasks

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 4  # more than CI's two cores: most lab tests wait for a host
CI_MINUTES = 52  # from the start of .ci/run to that of its last test; a run cut off from outside says nothing at all
SOME_FAILED = 1  # pytest's exit code


@task(
    name="test",
    help={
        "fast": "only tests/unit: no lab, no servers (under a minute)",
        "long": "also the cases that take minutes",
        "args": "more arguments for pytest, such as '-k docker'",
    },
)
def run_tests(_: Context, fast: bool = False, long: bool = False, args: str = "") -> None:
    """Run the tests against real parts, which are installed and started as needed."""
    marks = " and ".join(["not lab"] * fast + ["not long"] * (not long))
    where = ["tests/unit"] if fast else []
    chosen = [*where, *(["-m", marks] if marks else []), *shlex.split(args)]
    in_ci = "CI" in os.environ
    lab = shared.Lab()
    ours = not fast and not any(lab.status().values())
    if not fast:
        _prepare()
    try:
        command = ["pytest", *chosen, f"-n{WORKERS}", "--dist=loadgroup", "--durations=10"]
        code = _run(command + [f"--until={_last_start()}"] * in_ci)
        if code == SOME_FAILED and in_ci:
            code = _again(chosen)
    finally:
        if ours:
            _bring_down(lab)
    if code:
        raise Exit(code=code)


def _last_start() -> int:
    """Return when CI may begin its last test, in seconds since 1970: setting up has taken its part of the time."""
    return int(os.environ.get("CI_STARTED", time.time())) + 60 * CI_MINUTES


def _again(chosen: list[str]) -> int:
    """Run what failed once more, one at a time: what passes now could not bear the load, and is named above."""
    print("Some tests failed. Those that pass alone, below, are to be made fit for a busy machine.", flush=True)
    return _run(["pytest", *chosen, "--last-failed", "--last-failed-no-failures=none", "--exitfirst", "-v"])


def _prepare() -> None:
    if machine.is_root():
        lab_tasks.bring_up(("docker",), ready=machine.PARTS)  # what else is needed starts with its first test
    elif os.environ.get("CI"):
        raise Exit("the lab needs root, and CI needs the lab", code=1)
    else:
        print("not root: tests that need the lab are skipped")


def _bring_down(lab: shared.Lab) -> None:
    try:
        lab.down()
    except process.LabError as error:  # somebody else has joined in
        print(f"the lab stays up: {error}")


@task
def lint(_: Context) -> None:
    """Check style, formatting, types and the import contracts; all of them, even if one fails."""
    checks = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["lint-imports"])
    failed = [command[0] for command in checks if _run(command)]
    if failed:
        raise Exit(f"failed: {', '.join(failed)}", code=1)


def _run(command: list[str]) -> int:
    """Run a tool of this very virtual environment from the checkout's root; returns its exit code."""
    begun = time.monotonic()
    print(f"$ {shlex.join(command)}", flush=True)
    program = Path(sys.executable).parent / command[0]
    code = subprocess.run([program, *command[1:]], cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    print(
        f"{command[0]}: {'ok' if code == 0 else f'exit code {code}'} after {time.monotonic() - begun:.0f} s", flush=True
    )
    return code
