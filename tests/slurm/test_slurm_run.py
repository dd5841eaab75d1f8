"""`interlink run` on a Slurm cluster, as a user has it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.lab.slurm.cluster import Cluster
from tests.run.test_run_command import Cli

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def test_the_first_example_runs_as_a_job_and_shows_its_log(slurm: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    variables = {**slurm.login("login1").variables, "interlink_runtime": "process"}
    file.write_text(json.dumps({"all": {"hosts": {"login1": variables}}}))
    cli = Cli(tmp_path / "state", file)
    said = cli("run", "examples/busyecho_k8s.yaml", timeout=400)
    assert re.fullmatch(r"busyecho \| hello from \S+, pod busyecho\n", said), said + cli.err
    assert cli("pods.list").count("\n") == 1, "nothing is left but the heading"
