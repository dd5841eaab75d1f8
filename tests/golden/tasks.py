"""`inv golden`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from tests.golden import directory, sites, stand
from tests.lab import machine
from tests.lab.controlplane import programs
from tests.lab.process import LabError


@task(
    name="golden",
    help={
        "driver": f"what the cases run on: {' or '.join(sites.SITES)}",
        "cases": "directory of the golden pods (default: $INTERLINK_GOLDEN, or ../shared/golden beside the checkout)",
        "only": "globs on the cases' names, separated by commas",
        "jobs": "so many cases at a time",
        "slow": "factor on all time limits",
        "report": "file for the result as JSON",
        "logs": "directory that the server's and the kubelet's logs are copied to",
        "args": "more arguments for the runner",
    },
)
def run_golden(
    _: Context,
    driver: str = "docker",
    cases: str = "",
    only: str = "*",
    jobs: int = 4,
    slow: str = "1",
    report: str = "",
    logs: str = "",
    args: str = "",
) -> None:
    """Compare our node with what a real kubelet did, case by case; ends with 1 if one differs."""
    more = [f"--only={only}", f"-j{jobs}", f"--slow={slow}", *([f"--json={report}"] if report else [])]
    if driver not in sites.SITES:
        raise Exit(f"no site {driver!r}; there are {', '.join(sites.SITES)}", code=2)
    try:
        golden = directory.find(cases)
        machine.install(sites.NEEDS[driver])
        code = check(golden, driver, [*more, *shlex.split(args)], Path(logs) if logs else None)
    except (directory.NoCases, LabError) as error:
        raise Exit(str(error), code=2) from error
    if code:
        raise Exit(code=code)


def check(golden: directory.Golden, driver: str, arguments: list[str], logs: Path | None = None) -> int:
    """Run the cases on a node of our own; returns the runner's exit code, 0 if all are the same."""
    with stand.standing(golden, driver, logs) as node:
        command = [sys.executable, str(golden.runner), "check", f"--node={node.name}", f"--cases={golden.cases}"]
        command += [f"--kubeconfig={node.cluster.kubeconfig}", f"--ignore-profile={driver}", *arguments]
        found = programs.directory()
        assert found is not None
        env = {**os.environ, "PATH": f"{found}:{os.environ['PATH']}"}
        return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, check=False).returncode
