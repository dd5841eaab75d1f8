"""The interLink server or the host behind it is away: nothing is evicted, failed, lost or run twice."""

from __future__ import annotations

import os
import pwd
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet import proxy
from tests.kubelet.nodestand import Site, condition, site, taints
from tests.kubelet.test_outages_api import PATIENCE, is_ready, jobs, phase, pods
from tests.kubelet.test_pods_mock import uid_of
from tests.lab.controlplane.cluster import Cluster
from tests.lab.network import Namespace
from tests.lab.process import wait_until
from tests.lab.sshd import PLAIN_USER, Sshd

pytestmark = pytest.mark.lab

Json = dict[str, Any]
OURS, UNREACHABLE = "virtual-node.interlink/no-schedule", "virtual-node.interlink/unreachable"
LONG = pytest.param(600, marks=pytest.mark.long)
SHORT_OF_PATIENCE = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    for what in ("not-ready", "unreachable")
]


def process(name: str, script: str, **spec: Any) -> Json:
    """Return a pod for a host without containers; a node that is given up evicts it after five seconds."""
    container = {"name": "c", "image": "none", "command": ["sh", "-c", script]}
    full = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "tolerations": [*SHORT_OF_PATIENCE, {"key": OURS, "operator": "Exists"}],
        "containers": [container],
    }
    return {"metadata": {"name": name}, "spec": {**full, **spec}}


class Away:
    """Pods on a node whose server or host goes away, and what has to become of them."""

    def __init__(self, here: Site, namespace: str, marks: Path) -> None:
        self.here, self.namespace, self.marks = here, namespace, marks
        self.made: dict[str, Json] = {}

    def create(self, name: str, script: str, **spec: Any) -> None:
        spec = spec or {"nodeName": self.here.node}
        body = process(name, f"echo {name} >> {self.marks}/marks; {script}", **spec)
        self.made[name] = self.here.cluster.create(pods(self.namespace), body)

    def begin(self) -> None:
        go = self.marks / "go"
        self.create("stays", "while :; do sleep 1; done")
        self.create("ends", f"while [ ! -e {go} ]; do sleep 0.2; done; exit 6")
        for name in ("deleted", "forced"):
            self.create(name, "sleep 10000")
        for name in self.made:
            phase(self.here, self.namespace, name, "Running")

    def during(self, seconds: int) -> None:
        """What happens while it is away; returns after so many seconds."""
        begun = time.monotonic()
        (self.marks / "go").touch()
        cluster = self.here.cluster
        cluster.delete(pods(self.namespace, "deleted"))
        cluster.delete(pods(self.namespace, "forced"), gracePeriodSeconds=0)
        self.create("new", "exit 0")
        node = self.here.wait(
            lambda node: condition(node, "InterlinkConnectivity")["status"] == "False" and UNREACHABLE in taints(node),
            600,
        )
        assert condition(node, "InterlinkConnectivity")["message"]
        self.create("unscheduled", "exit 0", nodeSelector={"kubernetes.io/hostname": self.here.node})
        time.sleep(max(10.0, begun + seconds - time.monotonic()))  # ten: twice what an eviction would take
        found = {name: cluster.get(pods(self.namespace, name)) for name in self.made if name != "forced"}
        phases = {name: pod["status"]["phase"] for name, pod in found.items()}
        assert phases == {
            **dict.fromkeys(("stays", "ends", "deleted"), "Running"),
            **dict.fromkeys(("new", "unscheduled"), "Pending"),
        }
        assert [name for name, pod in found.items() if pod["metadata"].get("deletionTimestamp")] == ["deleted"]
        assert "nodeName" not in found["unscheduled"]["spec"]
        assert is_ready(found["stays"])
        assert condition(cluster.get(self.here.path), "Ready")["status"] == "True"

    def after(self) -> None:
        """What all comes to once it is back."""
        here, cluster = self.here, self.here.cluster
        here.wait(
            lambda node: (
                condition(node, "InterlinkConnectivity")["status"] == "True" and UNREACHABLE not in taints(node)
            ),
            600,
        )
        ended = phase(here, self.namespace, "ends", "Failed")
        assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 6
        for name in ("new", "unscheduled"):
            phase(here, self.namespace, name, "Succeeded")
        cluster.wait_gone(pods(self.namespace, "deleted"), PATIENCE)
        assert uid_of(phase(here, self.namespace, "stays", "Running")) == uid_of(self.made["stays"])
        kept = {uid_of(self.made[name]) for name in ("stays", "ends", "new", "unscheduled")}
        wait_until(lambda: jobs(here) == kept, PATIENCE, "the jobs of what was deleted to go")
        assert sorted((self.marks / "marks").read_text().split()) == sorted(self.made), "each has run once"
        cluster.delete(pods(self.namespace, "stays"))
        cluster.wait_gone(pods(self.namespace, "stays"), PATIENCE)


@pytest.fixture
def marks(private_directory: Path) -> Path:
    made = private_directory / "marks"
    made.mkdir()
    made.chmod(0o777)
    return made


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seconds", [60, LONG])
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_the_server_is_away_for_minutes(
    cluster: Cluster, node_name: str, namespace: str, tmp_path: Path, marks: Path, seconds: int, how: str
) -> None:
    host = {"ansible_connection": "local", "interlink_driver": "shell", "interlink_root": str(tmp_path / "root")}
    with site(cluster, node_name, tmp_path, **host) as here:
        here.kubelet()
        here.ready()
        pods_here = Away(here, namespace, marks)
        pods_here.begin()
        assert here.server.process is not None
        if how == "killed":
            here.server.kill()
        else:
            os.killpg(here.server.process.pid, signal.SIGSTOP)
        pods_here.during(seconds)
        if how == "killed":
            here.server.start()
        else:
            os.killpg(here.server.process.pid, signal.SIGCONT)
        pods_here.after()


@pytest.fixture
def ssh(namespace_factory: Callable[[], Namespace], sshd_factory: Callable[..., Sshd]) -> Sshd:
    """An SSH server in a network of its own."""
    return sshd_factory(namespace=namespace_factory(), port=22)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seconds", [60, LONG])
def test_the_host_is_unreachable_for_minutes(
    cluster: Cluster,
    node_name: str,
    namespace: str,
    private_directory: Path,
    marks: Path,
    ssh: Sshd,
    seconds: int,
) -> None:
    """Packets are dropped: no connection breaks, none can be made."""
    root = private_directory / "hostroot"
    root.mkdir()
    owner = pwd.getpwnam(PLAIN_USER)
    os.chown(root, owner.pw_uid, owner.pw_gid)
    host = ssh.host("box", PLAIN_USER).variables
    host |= {"interlink_driver": "shell", "interlink_root": str(root)}
    directory = private_directory / "site"
    directory.mkdir()
    with site(cluster, node_name, directory, **host) as here:
        here.kubelet()
        here.ready()
        pods_here = Away(here, namespace, marks)
        pods_here.begin()
        assert ssh.namespace is not None
        ssh.namespace.drop_packets()
        try:
            pods_here.during(seconds)
        finally:
            ssh.namespace.pass_packets()
        pods_here.after()


def test_an_answer_that_is_lost_with_its_kubelet_makes_no_second_job(
    cluster: Cluster, node_name: str, namespace: str, tmp_path: Path, marks: Path
) -> None:
    """The server has taken the pod, and nobody heard it say so."""
    root = tmp_path / "root"
    host = {"ansible_connection": "local", "interlink_driver": "shell", "interlink_root": str(root)}
    with site(cluster, node_name, tmp_path, **host) as here:
        with proxy.before(f"http://127.0.0.1:{here.server.port}") as far:
            kubelet = here.kubelet(f"--server=http://127.0.0.1:{far.port}")
            here.ready()
            far.mode = "mute"
            body = process("p", f"echo x >> {marks}/marks; sleep 1000", nodeName=here.node)
            uid = uid_of(cluster.create(pods(namespace), body))
            wait_until(lambda: jobs(here) == {uid}, PATIENCE, "the server to take the pod")
            assert cluster.get(pods(namespace, "p"))["status"]["phase"] == "Pending"
            kubelet.kill()
        here.kubelet()
        phase(here, namespace, "p", "Running")
        time.sleep(2)  # for a second job
        assert (marks / "marks").read_text() == "x\n"
        cluster.delete(pods(namespace, "p"))
        cluster.wait_gone(pods(namespace, "p"), PATIENCE)
