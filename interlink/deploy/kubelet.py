"""The steps that bring the virtual kubelet up: a service beside the server, or a kustomization for the cluster."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from interlink.config import kubeconfig
from interlink.deploy import manage, remote, server
from interlink.deploy.cluster import Cluster
from interlink.deploy.machine import Machine
from interlink.deploy.onmachine import OnMachine
from interlink.deploy.remote import File
from interlink.deploy.steps import Difference, Finding, Plan, Step
from interlink.deploy.units import Service
from interlink.errors import CommandFailed, ConfigError
from interlink.model.host import Host
from interlink.remote import shell
from interlink.remote.pool import Pool

NAME = "interlink-kubelet"
NAMESPACE, SECRET = "interlink", "interlink-token"  # as deploy/kustomizations has them


@dataclass(frozen=True)
class Wanted:
    """What is to run: the cluster's kubeconfig on this machine, and the nodes that the inventory names."""

    kubeconfig: Path
    nodes: Sequence[str]

    @property
    def cluster(self) -> Cluster:
        return Cluster(str(self.kubeconfig))


def wanted(host: Host, nodes: Sequence[str]) -> Wanted:
    """Return what a machine's variables ask for; ConfigError where they name no cluster."""
    named = str(host.get("interlink_kubeconfig") or "")
    if not named:
        raise ConfigError(f"host {host.name}: interlink_kubelet needs interlink_kubeconfig, a file on this machine")
    path = Path(named).expanduser()
    if not path.is_file():
        raise ConfigError("the kubeconfig of interlink_kubeconfig is not there", file=str(path))
    return Wanted(path, nodes)


def beside(host: Host, pool: Pool, asked: Wanted) -> Plan:
    """Return the steps for a kubelet beside the server."""
    return Plan(host.name, tuple(_Beside(host, pool, asked).steps()))


def service(host: Host, machine: Machine) -> Service:
    """Return the kubelet beside the server as a service; its command names no secret."""
    argv = [
        f"{machine.current}/bin/interlink",
        "kubelet",
        "--server",
        server.url(str(host.get("interlink_server_listen"))),
        "--token-file",
        f"{machine.config}/token",
        "--kubeconfig",
        f"{machine.config}/kubeconfig",
        "--state-dir",
        machine.state,
        "--listen",
        f"0.0.0.0:{host.get('interlink_kubelet_port')}",
    ]
    if address := str(host.get("interlink_kubelet_address") or ""):
        argv += ["--address", address]
    return Service(
        NAME, "interLink virtual kubelet: its nodes in a cluster", argv, (machine.base,), after=f"{server.NAME}.service"
    )


class _Beside(OnMachine):
    """The steps of the kubelet on the server's machine."""

    def __init__(self, host: Host, pool: Pool, asked: Wanted) -> None:
        super().__init__(host, pool)
        self._asked = asked

    def steps(self) -> Iterator[Step]:
        yield Step("cluster", lambda: self._asked.cluster.look(may=True))
        yield self.machine_step()
        yield Step("kubeconfig", self._file_look, lambda: remote.files_mend(self.connection, (self._file,)))
        yield self.unit_step(lambda: service(self.host, self.machine))
        yield Step("running", self._running, self._restart)
        yield Step("nodes", self._nodes, probe=True)

    @cached_property
    def _file(self) -> File:
        content = kubeconfig.flatten(self._asked.kubeconfig).encode()
        return File(f"{self.machine.config}/kubeconfig", content, secret=True)

    def _file_look(self) -> Finding:
        return remote.files_look(self.connection, (self._file,))

    @property
    def _service(self) -> Service:
        return service(self.host, self.machine)

    def _stamp(self) -> str:
        """A kubelet runs the release that was current at its start."""
        return self.stamp(self._service, self.manager.state(NAME).release, self._file.stamp)

    def _running(self) -> Finding:
        return manage.running_look(self.manager, self._service, self._stamp())

    def _restart(self) -> None:
        if not self.manager.state(NAME).release:
            raise CommandFailed(f"interLink is not installed on {self.host.name} yet: interlink server.deploy")
        self.manager.stop(NAME)
        self.manager.start(self._service, self._stamp())

    def _nodes(self) -> Finding:
        if not self.manager.state(NAME).active:
            log = " / ".join(self.manager.logs(NAME, 6).split("\n"))
            raise CommandFailed(f"{NAME} has ended: {log[-600:]}")
        return self._asked.cluster.nodes(self._asked.nodes)


def in_cluster(host: Host, pool: Pool, asked: Wanted) -> Plan:
    """Return the steps for a kubelet in the cluster, from a directory that the site may have customised."""
    directory = Path(str(host.get("interlink_kustomization"))).expanduser()
    if not (directory / "kustomization.yaml").is_file():
        raise ConfigError(
            "there is no kustomization.yaml: copy deploy/kustomizations of the project, make it yours, and name it by"
            " interlink_kustomization",
            file=str(directory),
        )
    return Plan(f"cluster of {asked.kubeconfig.name}", tuple(_InCluster(host, pool, asked, directory).steps()))


class _InCluster(OnMachine):
    """The steps of a kubelet that runs as a pod; the server's token goes with it."""

    def __init__(self, host: Host, pool: Pool, asked: Wanted, directory: Path) -> None:
        super().__init__(host, pool)
        self._cluster, self._directory = asked.cluster, directory

    def steps(self) -> Iterator[Step]:
        cluster = self._cluster
        yield Step("cluster", lambda: cluster.look(may=False))
        yield Step("kustomization", lambda: cluster.diff(self._directory), lambda: cluster.apply(self._directory))
        yield self.machine_step()
        yield Step("token", self._token_look, lambda: cluster.apply_object(self._secret()))

    def _token_look(self) -> Finding:
        there = self._cluster.secret(NAMESPACE, SECRET, "token")
        if there is not None and there == self._token():
            return Finding(f"secret {SECRET}")
        return Finding(differences=(Difference(f"secret {SECRET} in {NAMESPACE}"),))

    def _token(self) -> bytes:
        path = shell.path(f"{self.machine.config}/token")
        said = remote.run(self.connection, f"cat {path}", what="the server's token cannot be read (server.deploy)")
        return said.strip().encode()

    def _secret(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": NAMESPACE},
            "data": {"token": base64.b64encode(self._token()).decode()},
        }
