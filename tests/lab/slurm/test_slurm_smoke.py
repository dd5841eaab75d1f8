"""The lab's Slurm: each thing happens that the tests of the driver rely on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.lab import process
from tests.lab.hosts import SshHost
from tests.lab.slurm.cluster import Cluster, Settings, enforces_memory

pytestmark = pytest.mark.lab


def submit(host: SshHost, script: str, *flags: str) -> int:
    """Submit a shell command by a login node as the user; return the job's id."""
    done = host.run("cd; sbatch", "--parsable", "--export=NONE", "-o", "out-%j.txt", *flags, "--wrap", f"'{script}'")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def ends(cluster: Cluster, job: int, state: str, timeout: float = 240) -> None:
    """Wait for a job's state in the record of ended jobs."""
    process.wait_until(
        lambda: [one.state for one in cluster.history() if one.id == job][-1:] == [state], timeout, f"{job} {state}"
    )


def text(cluster: Cluster, job: int) -> str:
    return (cluster.home / f"out-{job}.txt").read_text()


def test_a_job_runs_on_a_computer_of_its_own(slurm: Cluster) -> None:
    job = submit(slurm.login("login1"), "hostname", "-w", slurm.computers["n2"].name)
    ends(slurm, job, "COMPLETED")
    assert text(slurm, job) == f"{slurm.computers['n2'].name}\n"


def test_both_login_nodes_see_one_queue(slurm: Cluster) -> None:
    first, second = slurm.hosts
    job = submit(first, "true", "--hold")
    assert second.run("squeue", "--me", "-h", "-j", str(job), "-o", "%r").stdout == "JobHeldUser\n"
    assert second.run("scancel", str(job)).returncode == 0
    ends(slurm, job, "CANCELLED")


def test_memory_limit_is_enforced(slurm: Cluster) -> None:
    if not enforces_memory():
        pytest.skip("memory limits need version 1 of cgroups")
    ends(slurm, submit(slurm.login("login1"), "tail /dev/zero", "--mem=40"), "OUT_OF_MEMORY")


def test_gpus_are_allocated(slurm: Cluster) -> None:
    job = submit(slurm.login("login1"), "echo $CUDA_VISIBLE_DEVICES", "--gres=gpu:tesla:2")
    ends(slurm, job, "COMPLETED")
    assert text(slurm, job) == "0,1\n"


def test_compute_node_reaches_a_login_node_by_ssh(slurm: Cluster) -> None:
    name = slurm.computers["login2"].name
    job = submit(slurm.login("login1"), f"ssh -o BatchMode=yes {name} hostname")
    ends(slurm, job, "COMPLETED")
    assert text(slurm, job) == f"{name}\n"


def saved(cluster: Cluster, job: int) -> None:
    """Wait until the controller has saved all jobs: one that is killed sooner forgets the last."""
    begun = time.time()
    cluster.scontrol("update", f"jobid={job}", "comment=worth-saving")
    state = cluster.directory / "state/job_state"
    process.wait_until(lambda: state.exists() and state.stat().st_mtime > begun, 60, "the jobs to be saved")


def test_a_cluster_can_be_hurt(slurm_factory: Callable[..., Cluster]) -> None:
    cluster = slurm_factory(Settings(min_job_age=2, slurmd_timeout=5))
    host = cluster.login("login1")
    running = submit(host, "sleep 1000", "--no-requeue", "-w", cluster.computers["n1"].name)
    low = submit(host, "sleep 1000", "-p", "low", "-w", cluster.computers["n2"].name, "--exclusive")
    process.wait_until(lambda: {job.state for job in cluster.jobs()} == {"RUNNING"}, 60, "both to run")
    saved(cluster, low)
    cluster.controller.kill()
    assert "Unable to contact slurm controller" in host.run("squeue").stderr
    cluster.controller.start()
    process.wait_until(lambda: not host.run("squeue").returncode, 60, "the controller")
    cluster.login_munge.stop()  # killed, it leaves a socket on which every client waits for minutes
    assert "authentication" in host.run("squeue").stderr
    assert {job.id for job in cluster.jobs()} == {running, low}
    cluster.login_munge.start()
    submit(host, "true", "-p", "high", "-w", cluster.computers["n2"].name, "--exclusive")
    ends(cluster, low, "PREEMPTED")
    cluster.slurmd["n1"].kill()
    ends(cluster, running, "NODE_FAIL")
    process.wait_until(lambda: running not in {job.id for job in cluster.jobs()}, 60, "the purge")
