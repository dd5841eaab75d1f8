"""Kubernetes' Jobs through the kubelet on a real Slurm cluster, by SSH to a login node, with Apptainer."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.stand import Served, serving
from tests.kubelet.podstand import Stand, standing, v1
from tests.kubelet.test_controllers import ended, exit_codes, make_job, pods_of, template
from tests.lab.controlplane.cluster import Cluster
from tests.lab.hpc.cluster import HpcCluster
from tests.lab.process import wait_until
from tests.lab.sshd import PLAIN_USER

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.minutes(8)]

NODE = f"vk-slurm-{os.getpid()}"
COMPLETIONS, PARALLELISM = 200, 50


@pytest.fixture
def server(hpc: HpcCluster, tmp_path: Path) -> Iterator[Served]:
    """A server over one login node, with a directory of its own there."""
    account, name = hpc.login("login1"), f"kubelet-{uuid.uuid4()}"
    own = {"interlink_node": NODE, "interlink_pods": 1000, "interlink_root": f"/home/{PLAIN_USER}/{name}"}
    try:
        with serving(tmp_path, {account.name: {**account.variables, **own}}) as served:
            yield served
    finally:
        account.run("rm", "-rf", name)


@pytest.fixture
def on_slurm(cluster: Cluster, server: Served, namespace: str) -> Iterator[Stand]:
    with standing(cluster, NODE, namespace, v1(server.url)) as stand:
        yield stand


def test_every_completion_of_a_job_is_one_slurm_job(on_slurm: Stand, hpc: HpcCluster) -> None:
    pods = template(on_slurm, "echo once", {}, restartPolicy="Never")
    job = make_job(on_slurm, pods, completions=COMPLETIONS, parallelism=PARALLELISM, backoffLimit=0)
    wait_until(lambda: ended(on_slurm.cluster.get(job)), 1500, f"{job} to end")
    state = on_slurm.cluster.get(job)
    assert ended(state) == "Complete", state["status"]
    assert state["status"]["succeeded"] == COMPLETIONS
    found = pods_of(on_slurm)
    assert exit_codes(found) == [0] * COMPLETIONS
    uids = {pod["metadata"]["uid"] for pod in found}
    submitted = {one.id: one.name for one in (*hpc.jobs(), *hpc.history()) if one.name in uids}
    assert Counter(submitted.values()) == dict.fromkeys(uids, 1)
