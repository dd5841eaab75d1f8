"""Ports: those of containers are the pod's own, those of the host are shared by all pods."""

from __future__ import annotations

import os

import pytest

from interlink.model.status import Phase, PodStatus, Waiting
from tests.contract.support import Box, container, wait
from tests.docker.support import Place, fetch
from tests.lab.hosts import SshHost

pytestmark = pytest.mark.lab

SERVE = "mkdir /w; echo {0} > /w/index.html; exec httpd -f -p {1} -h /w"


def _port(number: int) -> int:
    """A port that no other test process of this machine takes."""
    return 20000 + os.getpid() % 5000 * 2 + number


def test_two_pods_with_equal_container_ports(place: Place) -> None:
    ask = Box("until wget -q -O - 127.0.0.1:8080 2>/dev/null; do sleep 0.2; done", name="ask")
    ports = {"ports": [{"containerPort": 8080}]}
    one_box, two_box = (Box(SERVE.format(word, 8080), more=ports) for word in ("one", "two"))
    with place.rig.run(one_box, ask) as one, place.rig.run(two_box, ask) as two:
        assert (one.logged(b"\n", "ask"), two.logged(b"\n", "ask")) == (b"one\n", b"two\n")
        addresses = {run.running().pod_ip for run in (one, two)}
        assert len(addresses) == 2


def test_a_host_port_is_published(place: Place, docker_host: SshHost) -> None:
    ports = {"ports": [{"containerPort": 8080, "hostPort": _port(0)}]}
    with place.rig.run(Box(SERVE.format("published", 8080), more=ports)) as run:
        run.running()
        assert wait(lambda: fetch(docker_host.address, _port(0)), "the port answers") == b"published\n"


def test_a_taken_host_port_is_waited_for(place: Place) -> None:
    """As a kubelet whose sandbox cannot be made: ContainerCreating, and an event that says why."""
    ports = {"ports": [{"containerPort": 8080, "hostPort": _port(1)}]}
    box = Box(SERVE.format("x", 8080), more=ports)
    with place.rig.run(box) as first:
        first.running()
        with place.rig.run(box) as second:
            status = second.until(_says_port, "why it waits")
            assert status.phase is Phase.PENDING
            feed = (place.directory / place.server / "feed").read_text().splitlines()
            told = [line.split("\t")[2:5] for line in feed if line.startswith(second.uid)]
            assert ["Warning", "FailedCreatePodSandBox", ""] in told
            assert first.running().phase is Phase.RUNNING
            first.delete(grace=0)
            second.running()


def _says_port(status: PodStatus) -> bool:
    state = container(status, "main").state
    return isinstance(state, Waiting) and state.reason == "ContainerCreating" and "port" in state.message
