"""What hurts a cluster: controller, nodes, login nodes and munge, and what pods and server make of that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab.slurm.cluster import Cluster, Settings
from tests.slurm.stand import Stand, code

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

OUTAGES: dict[str, tuple[Callable[[Cluster], None], Callable[[Cluster], None]]] = {
    "killed": (lambda c: c.controller.kill(), lambda c: c.controller.start()),
    "stopped": (lambda c: c.controller.pause(), lambda c: c.controller.resume()),
    "munge": (lambda c: c.login_munge.stop(), lambda c: c.login_munge.start()),
}


@pytest.mark.parametrize("outage", list(OUTAGES))
def test_without_a_controller_nothing_changes_and_it_is_told(fragile: Callable[..., Stand], outage: str) -> None:
    begin, end = OUTAGES[outage]
    stand = fragile(settings=Settings(min_job_age=5))
    release = stand.cluster.home / "release"
    with stand.run("until [ -e /home/labuser/release ]; do sleep 0.2; done; exit 4") as run:
        run.running()
        begin(stand.cluster)
        stand.wait_until(lambda: not stand.host()["reachable"], "the outage is told")
        assert stand.host()["reason"]
        with stand.launch(stand.pod("echo later")) as later:  # accepted, and done once the controller is back
            release.touch()
            item = run.item()
            assert item["phase"] in ("Running", "Failed")  # its own files may have told already; nobody else may
            end(stand.cluster)
            stand.wait_until(lambda: stand.host()["reachable"], "the cluster is back")
            assert code(run.ended()) == 4
            assert later.ended()["phase"] == "Succeeded"
            assert [len(one.submitted) for one in (run, later)] == [1, 1]


def test_sbatch_that_gave_up_is_not_repeated(fragile: Callable[..., Stand]) -> None:
    """A stopped controller accepts the job once it goes on, minutes after sbatch has failed."""
    stand = fragile(settings=Settings(extra=("MessageTimeout=3",)))
    stand.wait_until(lambda: stand.host()["reachable"], "the cluster answers")  # or nothing is submitted at all
    stand.cluster.controller.pause()
    pods = [stand.pod("sleep 2; echo once >> /home/labuser/marks") for _ in range(5)]
    for pod in pods:
        stand.server.insist("POST", "/create", {"pod": pod})
    answers = [f".interlink/**/pods/{pod['metadata']['uid']}/answer.1" for pod in pods]
    stand.wait_until(lambda: all(any(stand.cluster.home.glob(one)) for one in answers), "each sbatch has given up")
    stand.cluster.controller.resume()
    for pod in pods:
        run = stand.known(pod)
        assert run.ended()["phase"] == "Succeeded"
        assert len(run.submitted) == 1
    assert (stand.cluster.home / "marks").read_text().splitlines() == ["once"] * 5
    for pod in pods:
        stand.known(pod).delete()


@pytest.mark.parametrize("how", ["administrator", "crash"])
def test_a_lost_node_fails_its_pod(fragile: Callable[..., Stand], how: str) -> None:
    stand = fragile(settings=Settings(slurmd_timeout=5))
    node = stand.cluster.computers["n1"]
    with stand.run("sleep 1000", annotations={"slurm-job.vk.io/flags": f"--nodelist={node.name}"}) as run:
        run.running()
        if how == "crash":
            stand.cluster.slurmd["n1"].kill()
            node.empty()  # supervisor and containers too, without a word
        else:
            stand.cluster.down("n1")
        item = run.ended()
        assert (item["phase"], item["reason"]) == ("Failed", "NodeLost")
        assert len(run.submitted) == 1


def test_what_ended_and_was_purged_while_the_server_was_away_is_told(fragile: Callable[..., Stand]) -> None:
    stand = fragile(settings=Settings(min_job_age=2))
    with stand.run("sleep 3; exit 7") as run:
        run.running()
        stand.server.kill()
        stand.wait_until(lambda: not run.jobs and stand.cluster.history(run.uid), "the job is purged")
        stand.server.start()
        assert code(run.ended()) == 7


def test_a_job_that_nobody_knows_is_unknown_and_lost_in_the_end(fragile: Callable[..., Stand]) -> None:
    stand = fragile(settings=Settings(min_job_age=2, slurmd_timeout=5))
    node = stand.cluster.computers["n1"]
    with stand.run("sleep 1000", annotations={"slurm-job.vk.io/flags": f"--nodelist={node.name}"}) as run:
        run.running()
        stand.server.kill()
        stand.cluster.slurmd["n1"].kill()
        node.empty()
        stand.wait_until(lambda: not run.jobs, "the job is purged")
        stand.server.start()
        item = run.until(lambda item: item["phase"] not in ("Running", "Pending"), "it is known that nothing is known")
        assert (item["phase"], item["reason"]) != ("Succeeded", "")


def test_a_login_node_that_dies_is_left_and_taken_back(fragile: Callable[..., Stand]) -> None:
    stand = fragile()
    with stand.run("until [ -e /home/labuser/release ]; do sleep 0.2; done") as run:
        run.running()
        for name in ("login1", "login2"):
            login = stand.cluster.logins[name]
            login.kill()
            with stand.run("echo through") as through:
                assert through.ended()["phase"] == "Succeeded"
                assert through.log() == "through\n"
            login.start()
        for login in stand.cluster.logins.values():
            login.kill()
        stand.wait_until(lambda: not stand.host()["reachable"], "that no login node answers is told")
        assert run.item()["phase"] == "Running"
        (stand.cluster.home / "release").touch()
        for login in stand.cluster.logins.values():
            login.start()
        assert run.ended()["phase"] == "Succeeded"
        assert len(run.submitted) == 1


def test_a_login_node_whose_packets_vanish_is_left(fragile: Callable[..., Stand]) -> None:
    stand = fragile()
    with stand.run("true") as run:
        run.ended()
    for name in ("login1", "login2"):
        computer = stand.cluster.computers[name]
        computer.drop_packets()
        with stand.run("echo through") as through:
            assert through.ended()["phase"] == "Succeeded"
        computer.pass_packets()
