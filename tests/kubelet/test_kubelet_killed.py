"""Kubelets are killed at random moments while 200 pods come and go: none is lost, none runs twice.

Containers leave a mark when they start: what really ran is counted there, not where anybody keeps books.
"""

from __future__ import annotations

import os
import pwd
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bench.stand import _remove
from tests.kubelet.nodestand import Kubelet, Site, condition, site
from tests.kubelet.test_pods_mock import plan, uid_of
from tests.lab import shared
from tests.lab.controlplane.cluster import ApiFailure, Cluster
from tests.lab.hosts import SshHost
from tests.lab.process import clean_environment, wait_until
from tests.lab.sshd import DOCKER_USER

pytestmark = pytest.mark.lab

KILLS = 6  # of each node's kubelet, four nodes
SHARES = {"mock": 75, "spare": 75, "shell": 35, "docker": 15}  # pods by node
DEADLINE = 300.0
Json = dict[str, Any]


@dataclass
class Scene:
    """Four nodes of one server, each with a kubelet of its own; `spare` has a second one standing by."""

    here: Site
    namespace: str
    marks: Path
    nodes: dict[str, str]
    kubelets: dict[str, list[Kubelet]] = field(default_factory=dict)
    made: dict[str, Json] = field(default_factory=dict)  # by name
    deleted: set[str] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)

    @property
    def cluster(self) -> Cluster:
        return self.here.cluster

    def path(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods" + (f"/{name}" if name else "")

    def leader(self, kind: str) -> str:
        """Return the process that serves a node, as its Lease names it; "" while there is none."""
        where = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        try:
            lease = self.cluster.get(f"{where}/interlink-{self.nodes[kind]}")
        except ApiFailure:
            return ""
        return str(lease["spec"].get("holderIdentity") or "")

    def guarded(self, work: Callable[..., None], *args: object) -> threading.Thread:
        def run() -> None:
            try:
                work(*args)
            except BaseException as error:
                self.failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread


@pytest.fixture
def scene(
    cluster: Cluster, lab_part: Callable[[str], shared.Lab], docker_host: SshHost, namespace: str
) -> Iterator[Scene]:
    lab = lab_part("docker")
    directory = lab.private_directory()
    owner = pwd.getpwnam(DOCKER_USER)
    for name, mode in (("root", 0o700), ("marks", 0o777)):
        (directory / name).mkdir()
        (directory / name).chmod(mode)
        os.chown(directory / name, owner.pw_uid, owner.pw_gid)
    nodes = {kind: f"vk-kill-{kind}-{os.getpid()}" for kind in SHARES}
    docker = {**docker_host.variables, "interlink_driver": "docker", "interlink_root": str(directory / "root")}
    others = {
        "spare": {"interlink_driver": "mock"},
        "shell": {
            "ansible_connection": "local",
            "interlink_driver": "shell",
            "interlink_root": str(directory / "shell"),
            "interlink_pods": 100,
        },
        "docker": {**docker, "interlink_hostpath_allow": [str(directory / "marks")]},
    }
    for kind, variables in others.items():
        variables["interlink_node"] = nodes[kind]
    server_id = ""
    try:
        with site(cluster, nodes["mock"], directory, others) as here:
            server_id = (directory / "state" / "serve" / "server-id").read_text().strip()
            made = Scene(here, namespace, directory / "marks" / "marks", nodes)
            for kind, node in nodes.items():
                count = 2 if kind == "spare" else 1
                made.kubelets[kind] = [here.kubelet(f"--nodename={node}") for _ in range(count)]
            for node in nodes.values():
                cluster.wait_for(
                    f"/api/v1/nodes/{node}", lambda found: condition(found, "Ready")["status"] == "True", 240
                )
            yield made
    finally:
        assert docker_host.engine is not None
        _remove(docker_host.engine, server_id, directory / "root")
        lab.remove_private(directory)
        for node in nodes.values():
            if cluster.exists(f"/api/v1/nodes/{node}"):
                cluster.delete(f"/api/v1/nodes/{node}")


def spec_of(scene: Scene, kind: str, number: int) -> tuple[Json, dict[str, str]]:
    """Return a pod's spec and annotations; its exit code is the number's remainder by three."""
    script = f'echo "$UID_OF_POD" >> {scene.marks}; sleep {number % 5}; exit {number % 3}'
    container: Json = {"name": "c", "image": "busybox:1.36", "command": ["/bin/sh", "-c", script]}
    container["env"] = [{"name": "UID_OF_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]
    spec: Json = {"nodeName": scene.nodes[kind], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    spec["automountServiceAccountToken"] = False
    # On a slow machine a node may be away for longer than the five minutes after which Kubernetes evicts.
    away = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    spec["tolerations"] = [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key in away]
    if kind == "docker":
        container["volumeMounts"] = [{"name": "marks", "mountPath": str(scene.marks.parent)}]
        spec["volumes"] = [{"name": "marks", "hostPath": {"path": str(scene.marks.parent)}}]
    return {**spec, "containers": [container]}, plan(run=str(number % 5), code=str(number % 3))


def create_and_delete(scene: Scene) -> None:
    """Create all pods over a minute or so; of every five one is deleted gracefully, one by force."""
    kinds = [kind for kind, count in SHARES.items() for _ in range(count)]
    random.shuffle(kinds)
    for number, kind in enumerate(kinds):
        spec, annotations = spec_of(scene, kind, number)
        metadata = {"name": f"{kind}-{number}", "annotations": annotations}
        body = {"metadata": metadata, "spec": spec}
        made = scene.made[metadata["name"]] = scene.cluster.create(scene.path(), body)
        if number % 5 < 2:
            threading.Timer(random.uniform(0, 8), scene.guarded, [delete, scene, made, number % 5]).start()
        time.sleep(random.uniform(0, 0.6))
    time.sleep(10)  # for the last timers


def delete(scene: Scene, made: Json, how: int) -> None:
    scene.deleted.add(uid_of(made))
    options = {"gracePeriodSeconds": 0} if how else {}
    scene.cluster.delete(scene.path(made["metadata"]["name"]), preconditions={"uid": uid_of(made)}, **options)


def kill_again_and_again(scene: Scene, kind: str) -> None:
    """Kill whoever leads the node, a moment after it has taken the lead, and start it again; sometimes at once."""
    before = ""
    for number in range(KILLS):
        wait_until(lambda before=before: scene.leader(kind) not in ("", before), DEADLINE, f"a kubelet to lead {kind}")
        time.sleep(random.uniform(0, 3))
        before = scene.leader(kind)
        victim = next(k for k in scene.kubelets[kind] if k.process and f"_{k.process.pid}_" in before)
        victim.kill()
        victim.start()
        if number % 3 == 0 and kind != "spare":
            time.sleep(random.uniform(0, 2))
            victim.kill()  # while it starts
            victim.start()


@pytest.mark.timeout(1200)
def test_kubelets_are_killed_at_random_moments_and_no_pod_is_lost_or_run_twice(scene: Scene, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    columns = '{.metadata.uid} {.status.phase} {.status.containerStatuses[0].restartCount}{"\\n"}'
    command = scene.cluster.kubectl_command(
        "get", "pods", "-n", scene.namespace, "--watch", "-o", f"jsonpath={columns}"
    )
    with seen.open("wb") as out, subprocess.Popen(command, stdout=out, env=clean_environment()) as watch:
        try:
            threads = [scene.guarded(kill_again_and_again, scene, kind) for kind in SHARES]
            threads.append(scene.guarded(create_and_delete, scene))
            for thread in threads:
                thread.join()
            assert scene.failures == []
            check(scene)
        finally:
            watch.terminate()
    check_history(seen.read_text())


def check(scene: Scene) -> None:
    kept = {name: made for name, made in scene.made.items() if uid_of(made) not in scene.deleted}
    assert len(scene.made) == sum(SHARES.values())
    for name in kept:
        code = int(name.rpartition("-")[2]) % 3
        wanted = "Failed" if code else "Succeeded"
        pod = scene.cluster.wait_for(scene.path(name), lambda pod, wanted=wanted: phase(pod) == wanted, DEADLINE)
        [container] = pod["status"]["containerStatuses"]
        assert container["state"]["terminated"]["exitCode"] == code, (name, container)
        assert container["restartCount"] == 0
    uids = {uid_of(made) for made in kept.values()}

    def left() -> set[str]:
        return {item["metadata"]["uid"] for item in scene.cluster.get(scene.path())["items"]}

    wait_until(lambda: left() == uids, DEADLINE, "what was deleted to go")
    here = scene.here.server
    wait_until(
        lambda: {p["uid"] for p in here.insist("GET", "/v1/pods")["items"] if p["target"] == "run"} == uids,
        DEADLINE,
        "the jobs of what was deleted to go",
    )
    ran = Counter(scene.marks.read_text().split())
    assert {uid: count for uid, count in ran.items() if count > 1} == {}, "these ran more than once"
    real = {uid_of(made) for name, made in kept.items() if name.startswith(("docker", "shell"))}
    assert real - ran.keys() == set(), "these have ended and never ran"


def phase(pod: Json) -> str:
    return str(pod["status"].get("phase"))


def check_history(text: str) -> None:
    """No pod ever left its terminal phase, or was restarted."""
    ended: dict[str, str] = {}
    for line in text.splitlines():
        uid, state, *restarts = line.split()
        assert ended.get(uid, state) == state, f"{uid} went from {ended[uid]} to {state}"
        assert restarts in ([], ["0"])
        if state in ("Succeeded", "Failed"):
            ended[uid] = state
    assert len(ended) > sum(SHARES.values()) / 2
