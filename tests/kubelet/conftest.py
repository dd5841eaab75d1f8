"""Servers for the kubelet's tests: over mock hosts, and over the lab's docker host."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.stand import Served, _remove, serving
from tests.kubelet.podstand import Stand, standing, v1
from tests.lab import shared
from tests.lab.controlplane.cluster import Cluster
from tests.lab.hosts import SshHost
from tests.lab.sshd import DOCKER_USER

DOCKER_NODE, MOCK_NODE = f"vk-docker-{os.getpid()}", f"vk-mock-{os.getpid()}"


@pytest.fixture(scope="session")
def mock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over one mock host, whose node is MOCK_NODE."""
    variables = {"interlink_driver": "mock", "interlink_node": MOCK_NODE}
    with serving(tmp_path_factory.mktemp("mock-server"), {"mock": variables}) as served:
        yield served


@pytest.fixture(scope="session")
def docker_server(lab_part: Callable[[str], shared.Lab], docker_host: SshHost) -> Iterator[Served]:
    """A server over the lab's docker host, whose node is DOCKER_NODE."""
    lab = lab_part("docker")
    directory = lab.private_directory()
    root = Path(directory) / "root"
    root.mkdir(mode=0o700)
    owner = pwd.getpwnam(DOCKER_USER)
    os.chown(root, owner.pw_uid, owner.pw_gid)
    variables = {**docker_host.variables, "interlink_root": str(root), "interlink_node": DOCKER_NODE}
    server = ""
    try:
        with serving(directory, {docker_host.name: variables}) as served:
            server = served.server_id
            yield served
    finally:
        assert docker_host.engine is not None
        _remove(docker_host.engine, server, root)
        lab.remove_private(directory)


@pytest.fixture
def on_mock(cluster: Cluster, mock_server: Served, namespace: str) -> Iterator[Stand]:
    """A node over the mock host, with a kubelet."""
    with standing(cluster, MOCK_NODE, namespace, v1(mock_server.url)) as stand:
        yield stand


@pytest.fixture
def on_docker(cluster: Cluster, docker_server: Served, namespace: str) -> Iterator[Stand]:
    """A node over the lab's docker host, with a kubelet."""
    with standing(cluster, DOCKER_NODE, namespace, v1(docker_server.url)) as stand:
        yield stand


@pytest.fixture
def account(cluster: Cluster, namespace: str) -> Iterator[Callable[..., str]]:
    """`account(name, rule, ...)` gives the token of a service account that has these rights on all nodes."""
    roles: list[str] = []

    def make(name: str, *rules: dict[str, Any]) -> str:
        cluster.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        role = f"{namespace}-{name}"
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        granted = [{"apiGroups": [""], **rule} for rule in rules]
        cluster.create(f"{rbac}/clusterroles", {"metadata": {"name": role}, "rules": granted})
        roles.append(role)
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        binding = {"metadata": {"name": role}, "roleRef": reference, "subjects": [subject]}
        cluster.create(f"{rbac}/clusterrolebindings", binding)
        return cluster.token(name=name, namespace=namespace)

    yield make
    for role in roles:
        for kind in ("clusterroles", "clusterrolebindings"):
            cluster.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/{role}")
