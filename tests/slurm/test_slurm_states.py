"""What really happens to jobs, and what `/v1/pods` says of their pods; nothing here hurts the shared cluster."""

from __future__ import annotations

import pytest

from tests.lab.slurm.cluster import enforces_memory
from tests.slurm.stand import Stand, code, state

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
FLAGS = "slurm-job.vk.io/flags"


def test_a_pod_succeeds_as_one_job(site: Stand) -> None:
    with site.run("echo hello; uname -n") as run:
        item = run.ended()
        assert (item["phase"], code(item), item["host"]) == ("Succeeded", 0, "lab")
        assert {str(job) for job in run.submitted} == {item["jid"]}
        names = {computer.name for computer in site.cluster.computers.values()}
        first, second = run.log().splitlines()
        assert first == "hello"
        assert second in names


def test_an_exit_code_is_the_containers(site: Stand) -> None:
    with site.run("exit 3") as run:
        item = run.ended()
        assert (item["phase"], code(item)) == ("Failed", 3)


def test_why_a_job_waits_is_told(site: Stand) -> None:
    with site.run("true", annotations={FLAGS: "--hold"}) as run:
        item = run.until(lambda item: "JobHeldUser" in item["message"], "Slurm's reason is told")
        assert item["phase"] == "Pending"
        site.cluster.scontrol("release", item["jid"])
        assert run.ended()["phase"] == "Succeeded"


def test_a_partition_that_is_down_keeps_a_pod_pending(site: Stand) -> None:
    with site.run("true", annotations={FLAGS: "-p short --time=10"}) as run:
        item = run.until(lambda item: "PartitionTimeLimit" in item["message"], "Slurm's reason is told")
        assert item["phase"] == "Pending"


def test_an_administrators_scancel_fails_the_pod(site: Stand) -> None:
    with site.run("sleep 1000") as run:
        site.cluster.run("scancel", run.running()["jid"])
        item = run.ended()
        assert (item["phase"], item["reason"]) == ("Failed", "Cancelled")


def test_a_scancel_of_a_waiting_job_fails_the_pod(site: Stand) -> None:
    with site.run("true", annotations={FLAGS: "--hold"}) as run:
        site.cluster.run("scancel", run.until(lambda item: "Held" in item["message"], "it is held")["jid"])
        item = run.ended()
        assert (item["phase"], item["reason"]) == ("Failed", "Cancelled")
        assert "running" not in state(item)


def test_a_time_limit_of_slurm_is_no_success(site: Stand) -> None:
    with site.run("trap 'exit 0' TERM; sleep 1000 & wait", annotations={FLAGS: "--time=5"}) as run:
        site.cluster.scontrol("update", f"jobid={run.running()['jid']}", "EndTime=now+2")
        item = run.ended()
        assert (item["phase"], item["reason"]) == ("Failed", "TimeLimit")


def test_a_deadline_of_the_pod_is_called_one(site: Stand) -> None:
    with site.run("sleep 1000", activeDeadlineSeconds=3) as run:
        item = run.ended()
        assert (item["phase"], item["reason"]) == ("Failed", "DeadlineExceeded")


def test_a_deadline_counts_while_the_job_waits(site: Stand) -> None:
    with site.run("true", activeDeadlineSeconds=3, annotations={FLAGS: "--hold"}) as run:
        item = run.ended()
        assert (item["phase"], item["reason"]) == ("Failed", "DeadlineExceeded")


def test_memory_beyond_the_limit_kills_the_container(site: Stand) -> None:
    if not enforces_memory():
        pytest.skip("memory limits need version 1 of cgroups")
    resources = {"resources": {"limits": {"memory": "60Mi"}}}
    with site.run("tail /dev/zero", container=resources) as run:
        item = run.ended()
        assert (item["phase"], code(item)) == ("Failed", 137)
        assert state(item)["terminated"]["reason"] == "OOMKilled"


def test_a_preempted_pod_has_failed(site: Stand) -> None:
    node = site.cluster.computers["n3"].name
    much = {"resources": {"limits": {"memory": f"{site.cluster.settings.memory * 3 // 5}Mi"}}}
    low, high = ({FLAGS: f"-p {partition} --nodelist={node}"} for partition in ("low", "high"))
    with site.run("sleep 1000", container=much, annotations=low) as victim:
        victim.running()
        with site.run("true", container=much, annotations=high) as winner:
            item = victim.ended()
            assert (item["phase"], item["reason"]) == ("Failed", "Preempted")
            assert winner.ended()["phase"] == "Succeeded"


def test_a_preempted_pod_is_never_run_again(site: Stand) -> None:
    node = site.cluster.computers["n3"].name
    much = {"resources": {"limits": {"memory": f"{site.cluster.settings.memory * 3 // 5}Mi"}}}
    low, high = ({FLAGS: f"-p {partition} --nodelist={node}"} for partition in ("lowrequeue", "high"))
    with site.run("sleep 1000", container=much, annotations=low) as victim:
        victim.running()
        with site.run("true", container=much, annotations=high) as winner:
            assert victim.ended()["phase"] == "Failed"
            assert winner.ended()["phase"] == "Succeeded"
        assert len(victim.submitted) == 1


def test_a_suspended_pod_runs_and_is_not_ready(site: Stand) -> None:
    with site.run("sleep 1000") as run:
        job = run.running()["jid"]
        site.cluster.scontrol("suspend", job)
        item = run.until(lambda item: not item["containers"][0]["ready"], "it is not ready")
        assert (item["phase"], item["reason"]) == ("Running", "Suspended")
        site.cluster.scontrol("resume", job)
        run.until(lambda item: item["containers"][0]["ready"] and not item["reason"], "it is ready again")


def test_an_impossible_request_tells_slurms_words(site: Stand) -> None:
    with site.run("true", annotations={FLAGS: "-p nosuch"}) as run:
        item = run.ended()
        assert item["phase"] == "Failed"
        assert "invalid partition" in item["message"].lower()


def test_a_deleted_waiting_pod_never_starts(site: Stand) -> None:
    with site.run("true", annotations={FLAGS: "--hold"}) as run:
        run.until(lambda item: "Held" in item["message"], "it is held")
    assert {job.state for job in site.cluster.history(run.uid)} == {"CANCELLED"}
