"""End to end: kubectl, a real cluster, the kubelet's process, the server's process, a docker host by SSH."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bench.stand import _remove
from tests.kubelet.nodestand import Site, site
from tests.lab import process, shared
from tests.lab.controlplane.cluster import Cluster
from tests.lab.hosts import SshHost
from tests.lab.sshd import DOCKER_USER

Json = dict[str, Any]
POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "hello"},
    "spec": {
        "tolerations": [{"key": "virtual-node.interlink/no-schedule", "operator": "Exists"}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "c",
                "image": "busybox:1.36",
                "command": [
                    "sh",
                    "-c",
                    "echo hello from $(NODE); cat /var/run/secrets/kubernetes.io/serviceaccount/namespace",
                ],
                "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            }
        ],
    },
}


@pytest.fixture(scope="module")
def here(cluster: Cluster, lab_part: Callable[[str], shared.Lab], docker_host: SshHost) -> Iterator[Site]:
    lab = lab_part("docker")
    directory = lab.private_directory()
    root = directory / "root"
    root.mkdir(mode=0o700)
    owner = pwd.getpwnam(DOCKER_USER)
    os.chown(root, owner.pw_uid, owner.pw_gid)
    variables = {**docker_host.variables, "interlink_driver": "docker", "interlink_root": str(root)}
    name, server_id = f"vk-process-{os.getpid()}", ""
    try:
        with site(cluster, name, directory, **variables) as made:
            server_id = (directory / "state" / "serve" / "server-id").read_text().strip()
            made.kubelet()
            made.ready()
            yield made
    finally:
        assert docker_host.engine is not None
        _remove(docker_host.engine, server_id, root)
        lab.remove_private(directory)
        cluster.delete(f"/api/v1/nodes/{name}")


def pinned(here: Site, **spec: Any) -> str:
    selector = {"nodeSelector": {"kubernetes.io/hostname": here.node}}
    return json.dumps({**POD, "spec": {**POD["spec"], **selector, **spec}})


def test_apply_logs_describe_delete(here: Site, namespace: str) -> None:
    kubectl = here.cluster.kubectl
    kubectl("apply", "-n", namespace, "-f", "-", stdin=pinned(here))
    path = f"/api/v1/namespaces/{namespace}/pods/hello"
    here.cluster.wait_for(path, lambda pod: pod["status"]["phase"] == "Succeeded", 120)
    assert kubectl("logs", "-n", namespace, "hello") == f"hello from {here.node}\n{namespace}"
    process.wait_until(
        lambda: {"Scheduled", "Created", "Started"} <= words(kubectl("describe", "pod", "-n", namespace, "hello")),
        60,
        "the events of the pod",
    )
    kubectl("delete", "pod", "-n", namespace, "hello")
    assert not here.cluster.exists(path)


def test_a_running_pod_outlives_its_kubelet_and_is_not_run_twice(here: Site, namespace: str) -> None:
    cluster, path = here.cluster, f"/api/v1/namespaces/{namespace}/pods/hello"
    containers = [{"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", "echo started; sleep 1000"]}]
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=pinned(here, containers=containers))
    before = cluster.wait_for(path, lambda pod: pod["status"]["phase"] == "Running", 120)
    kubelet = here.kubelets[0]
    kubelet.kill()
    kubelet.start()
    process.wait_until(here.leader, 60, "a leader")
    renewed = here.renewed()
    process.wait_until(lambda: here.renewed() > renewed, 60, "the restarted kubelet to renew")
    here.ready()
    after = cluster.get(path)
    for name in ("containerID", "restartCount"):
        assert after["status"]["containerStatuses"][0][name] == before["status"]["containerStatuses"][0][name]
    assert cluster.kubectl("logs", "-n", namespace, "hello") == "started\n"
    cluster.kubectl("delete", "pod", "-n", namespace, "hello")


def words(text: str) -> set[str]:
    return set(text.split())
