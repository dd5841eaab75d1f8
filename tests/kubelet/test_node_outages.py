"""What a node says while its server is away, when its kubelet stops, and which of two kubelets serves it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet.nodestand import LEASES, Site, condition, site, taints
from tests.lab import process
from tests.lab.controlplane.cluster import Cluster

UNREACHABLE = "virtual-node.interlink/unreachable"
TAKEOVER_SECONDS = 150.0  # ten times the demand
Json = dict[str, Any]


@pytest.fixture
def here(cluster: Cluster, node_name: str, tmp_path: Path) -> Iterator[Site]:
    with site(cluster, node_name, tmp_path) as made:
        yield made


def test_a_server_that_hangs_costs_neither_lease_nor_ready_and_is_told(here: Site) -> None:
    here.kubelet()
    here.ready()
    assert here.server.process is not None
    os.killpg(here.server.process.pid, signal.SIGSTOP)
    seen = {here.renewed()}
    until = time.monotonic() + 300
    while True:
        node = here.cluster.get(here.path)
        seen.add(here.renewed())
        assert condition(node, "Ready")["status"] == "True"
        if condition(node, "InterlinkConnectivity")["status"] == "False" and UNREACHABLE in taints(node):
            break
        assert time.monotonic() < until, "the outage was never told"
        time.sleep(1)
    times = sorted(seen)
    assert len(times) > 2
    assert max((b - a).total_seconds() for a, b in itertools.pairwise(times)) < 30, "of 40 that it holds"
    os.killpg(here.server.process.pid, signal.SIGCONT)
    here.wait(
        lambda node: condition(node, "InterlinkConnectivity")["status"] == "True" and UNREACHABLE not in taints(node)
    )


def test_an_outage_may_be_told_as_not_ready_and_a_restart_in_it_keeps_the_node(here: Site) -> None:
    kubelet = here.kubelet("--not-ready-after=45s")
    here.ready()
    here.server.kill()
    here.wait(lambda node: UNREACHABLE in taints(node))
    kubelet.kill()
    kubelet.start()
    before = here.renewed()
    process.wait_until(lambda: here.renewed() > before, 60, "a restarted kubelet to renew the lease")
    here.ready("False")
    here.server.start()
    here.wait(lambda node: condition(node, "Ready")["status"] == "True" and UNREACHABLE not in taints(node))


def test_a_kubelet_that_is_stopped_says_not_ready_and_gives_its_lead_away(here: Site) -> None:
    kubelet = here.kubelet()
    here.ready()
    assert kubelet.stop() == 0
    ready = condition(here.cluster.get(here.path), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "KubeletStopped")
    assert here.leader() == ""
    kubelet.start()
    here.ready()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_the_second_kubelet_takes_over(here: Site, how: signal.Signals) -> None:
    first = here.kubelet()
    here.ready()
    leader = here.leader()
    second = here.kubelet()
    process.wait_until(lambda: "standing by" in second.log, 60, "the second to stand by")
    assert here.leader() == leader
    first.signal(how)
    process.wait_until(lambda: here.leader() != leader, TAKEOVER_SECONDS, "another leader")
    taken = here.leader()
    before = here.renewed()
    process.wait_until(lambda: here.renewed() > before, 60, "the new leader to renew the node's lease")
    if how is signal.SIGSTOP:
        first.signal(signal.SIGCONT)
        process.wait_until(lambda: "was taken over" in first.log, 60, "the first to notice")
        time.sleep(5)  # time for a write too many
    assert here.leader() == taken
    assert condition(here.ready(), "Ready")["reason"] == "KubeletReady"
    assert here.cluster.get(f"{LEASES}/interlink-{here.node}")["spec"]["leaseTransitions"] == 1


def test_the_oldest_command_line_against_the_oldest_contract(here: Site) -> None:
    """KNoC's: a bare --, the provider's JSON, klog's flags; INTERLINKURL and INTERLINKPORT name the server."""
    config = here.directory / "knoc-cfg.json"
    config.write_text(json.dumps({here.node: {"cpu": "2", "memory": "32Gi", "pods": "128"}}))
    seeds = ["--", "--nodename", here.node, "--provider", "knoc", "--provider-config", str(config)]
    seeds += ["--startup-timeout", "60s", "--klog.v", "2", "--klog.logtostderr", "--log-level", "debug"]
    kubelet = here.kubelet(*seeds)
    node = here.ready()
    assert node["status"]["capacity"] == {"cpu": "2", "memory": "32Gi", "pods": "128"}
    assert taints(node) - {"node.kubernetes.io/not-ready"} == {"virtual-node.interlink/no-schedule"}
    assert kubelet.stop() == 0


def test_a_new_node_is_ready_only_once_its_server_answers(here: Site) -> None:
    config = here.directory / "knoc-cfg.json"
    config.write_text(json.dumps({here.node: {"cpu": "2", "memory": "32Gi", "pods": "128"}}))
    here.server.kill()
    here.kubelet("--nodename", here.node, "--provider-config", str(config))
    node = here.wait(lambda node: condition(node, "Ready")["status"] == "False")
    assert "the interLink server" in condition(node, "Ready")["message"]
    before = here.renewed()
    process.wait_until(lambda: here.renewed() > before, 60, "the lease to be renewed all the same")
    assert condition(here.cluster.get(here.path), "Ready")["status"] == "False"
    here.server.start()
    here.ready()


def test_a_node_is_drained_and_forgotten(here: Site, namespace: str) -> None:
    kubelet = here.kubelet("--disable-taint")
    here.ready()
    spec = {"containers": [{"name": "c", "image": "busybox:1.36", "command": ["sleep", "1000"]}], "nodeName": here.node}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    here.cluster.create(pods, {"metadata": {"name": "p"}, "spec": {**spec, "terminationGracePeriodSeconds": 1}})
    here.cluster.wait_for(f"{pods}/p", lambda pod: pod["status"]["phase"] == "Running", 120)
    ours = [f"--kubeconfig={here.cluster.kubeconfig}"]
    assert "give --force" in command("kubelet.forget", here.node, *ours, fails=True)
    assert "is drained" in command("kubelet.drain", here.node, *ours)
    assert not here.cluster.exists(f"{pods}/p")
    assert here.cluster.get(here.path)["spec"]["unschedulable"]
    assert "a kubelet serves" in command("kubelet.forget", here.node, *ours, fails=True)
    kubelet.stop()
    assert "is forgotten" in command("kubelet.forget", here.node, *ours)
    here.cluster.wait_gone(here.path)
    assert not here.cluster.exists(f"{LEASES}/interlink-{here.node}")


def test_the_api_server_is_away_and_the_kubelet_goes_on_as_the_same_leader(
    second_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = second_cluster()
    name = f"n{os.getpid()}-away"
    with site(cluster, name, tmp_path) as there:
        kubelet = there.kubelet()
        there.ready()
        leader = there.leader()
        cluster.apiserver.kill()
        time.sleep(20)  # longer than a lead holds
        cluster.apiserver.start()
        pods = "/api/v1/namespaces/default/pods"
        container = {"name": "c", "image": "busybox:1.36", "command": ["true"]}
        spec = {"nodeName": name, "restartPolicy": "Never", "containers": [container]}
        cluster.create(pods, {"metadata": {"name": "after"}, "spec": spec})
        cluster.wait_for(f"{pods}/after", lambda pod: pod["status"]["phase"] == "Succeeded", 120)
        before = there.renewed()
        process.wait_until(lambda: there.renewed() > before, 60, "the lease to be renewed")
        there.ready()
        assert there.leader() == leader
        assert "taken over" not in kubelet.log
        assert kubelet.stop() == 0


def command(*argv: str, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from interlink.cli import main; main()", *argv],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert bool(done.returncode) is fails, done
    return done.stdout + done.stderr
