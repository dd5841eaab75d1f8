"""What running jobs use, as Slurm gathers it, in the figures of their node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.slurm.cluster import Cluster
from tests.slurm.stand import Run, Stand, stand

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.fixture
def node(slurm: Cluster, tmp_path: Path) -> Iterator[Stand]:
    """A server that shows the shared cluster as a node."""
    with stand(tmp_path, slurm, interlink_runtime="process", interlink_node="hpc") as made:
        yield made


def figures(node: Stand, run: Run) -> dict[str, Any]:
    """Return the figures of a pod's only container; empty while there are none."""
    pods = node.server.insist("GET", "/v1/nodes/hpc/stats")["pods"]
    containers = [item for pod in pods if pod["uid"] == run.uid for item in pod["containers"]]
    return dict(containers[0]) if containers else {}


def test_a_busy_pod_has_figures_that_rise(node: Stand) -> None:
    with node.run("while :; do :; done") as run:
        begun = run.running()["containers"][0]["state"]["running"]["startedAt"]
        node.wait_until(lambda: figures(node, run).get("cpuSeconds"), "Slurm has looked at the job")
        first = figures(node, run)
        assert (first["name"], first["startedAt"][:19]) == ("main", begun[:19])
        assert 4096 < first["memoryBytes"] < 100 << 20
        node.wait_until(lambda: figures(node, run)["cpuSeconds"] > first["cpuSeconds"], "CPU time rises")
    node.wait_until(lambda: not figures(node, run), "what has ended has none")
