"""A running control plane as tests use it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import urllib3

from tests.lab import process
from tests.lab.controlplane import programs
from tests.lab.controlplane.pki import Pair
from tests.lab.controlplane.plane import Component, ControlPlane

DEPLOYED = Path(__file__).parents[3] / "deploy/kustomizations"
FLOOR = (DEPLOYED / "rbac.yaml", DEPLOYED / "flowschema.yaml")  # what users deploy is what tests run with
ACCOUNT, ACCOUNT_NAMESPACE = "interlink", "interlink"  # of rbac.yaml
TOKEN_SECONDS = 86400

Json = dict[str, Any]


class ApiFailure(process.LabError):
    """The API server said no; `status` is HTTP's, `answer` its Status object."""

    def __init__(self, status: int, answer: Json) -> None:
        super().__init__(f"{status}: {answer.get('message')}")
        self.status, self.answer = status, answer


@dataclass(frozen=True)
class Cluster:
    """One control plane: by kubectl, by plain requests of an administrator, and by its daemons.

    `scratch` is a directory of this test process's own, for kubeconfigs and kubectl's cache.
    """

    plane: ControlPlane
    scratch: Path

    @property
    def url(self) -> str:
        return self.plane.url

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.plane.admin

    @property
    def ca(self) -> Path:
        """The authority of everything: servers, clients, and certificates by CSR."""
        return self.plane.pki.ca.certificate

    @property
    def kubelet_client(self) -> Pair:
        """What the API server presents to kubelets (CN kube-apiserver-kubelet-client, O system:masters)."""
        return self.plane.pki.pair("kubelet-client")

    @property
    def admin_client(self) -> Pair:
        """The administrator's certificate, for a kubelet's own port too."""
        return self.plane.pki.pair("admin")

    @property
    def apiserver(self) -> Component:
        """The API server; hurt only that of a `second_cluster`."""
        return self.plane.apiserver

    @property
    def controllers(self) -> Component:
        return self.plane.controllers

    @property
    def scheduler(self) -> Component:
        return self.plane.scheduler

    def compact(self) -> None:
        """Drop etcd's history, see ControlPlane.compact()."""
        self.plane.compact()

    @cached_property
    def service_account(self) -> Path:
        """The kubeconfig of a service account with the rights of rbac.yaml and no others; its token is in a file."""
        token = self.scratch / "token"
        token.touch(mode=0o600)
        token.write_text(self.token())
        return self.plane.write_kubeconfig(self.scratch / "account.kubeconfig", {"tokenFile": str(token)})

    def token(self, seconds: int = TOKEN_SECONDS, name: str = ACCOUNT, namespace: str = ACCOUNT_NAMESPACE) -> str:
        """A new token of a service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        answer = self.create(path, {"spec": {"expirationSeconds": seconds}})
        return str(answer["status"]["token"])

    def kubectl(self, *args: str, stdin: str | None = None, timeout: float = 240) -> str:
        """Run kubectl as administrator and return what it printed; LabError if it fails."""
        done = self.run_kubectl(*args, stdin=stdin, timeout=timeout)
        if done.returncode:
            raise process.LabError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def run_kubectl(
        self, *args: str, stdin: str | None = None, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, whatever comes of it."""
        return subprocess.run(
            self.kubectl_command(*args),
            input=stdin or "",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env=process.clean_environment(),
        )

    def kubectl_command(self, *args: str) -> list[str]:
        """The argument list of a kubectl that speaks to this cluster, for tests that need its process."""
        directory = programs.directory()
        assert directory is not None
        cache = f"--cache-dir={self.scratch / 'kubectl'}"
        return [str(directory / "kubectl"), f"--kubeconfig={self.kubeconfig}", cache, *args]

    def apply(self, *manifests: Mapping[str, Any]) -> str:
        """`kubectl apply` of objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        return self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def get(self, path: str) -> Json:
        """GET as administrator, without the cost of a kubectl; ApiFailure for any other answer than 2xx."""
        return self._request("GET", path)

    def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST as administrator."""
        return self._request("POST", path, body)

    def replace(self, path: str, body: Mapping[str, Any]) -> Json:
        """PUT as administrator."""
        return self._request("PUT", path, body)

    def patch(self, path: str, body: Mapping[str, Any], kind: str = "strategic-merge-patch") -> Json:
        """PATCH as administrator."""
        return self._request("PATCH", path, body, f"application/{kind}+json")

    def delete(self, path: str, **options: Any) -> Json:
        """DELETE as administrator, with DeleteOptions such as gracePeriodSeconds."""
        return self._request("DELETE", path, options)

    def exists(self, path: str) -> bool:
        """False if the server says 404."""
        try:
            self.get(path)
        except ApiFailure as error:
            if error.status == 404:
                return False
            raise
        return True

    def wait_for(self, path: str, accepted: Callable[[Json], object], timeout: float = 240) -> Json:
        """GET until `accepted(object)` is true, and return the object; LabError with the last one otherwise."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                found = self.get(path)
                if accepted(found):
                    return found
            except ApiFailure as error:
                if error.status != 404:
                    raise
                found = error.answer
            if time.monotonic() > deadline:
                raise process.LabError(f"{path} after {timeout:g} s: {json.dumps(found)[:4000]}")
            time.sleep(0.05)

    def wait_gone(self, path: str, timeout: float = 240) -> None:
        """Wait until the server says 404."""
        process.wait_until(lambda: not self.exists(path), timeout, f"{path} to be gone")

    def close(self) -> None:
        """Close the connections of this process."""
        self._pool.clear()

    def make_namespace(self, name: str) -> None:
        """A namespace in which pods can be made at once: with its service account and authority."""
        with contextlib.suppress(ApiFailure):
            self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        self.wait_for(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
        self.wait_for(f"/api/v1/namespaces/{name}/configmaps/kube-root-ca.crt", bool)

    def remove_namespace(self, name: str) -> None:
        """Delete a namespace with its pods, which no kubelet need confirm; does not wait for the end."""
        self.delete(f"/api/v1/namespaces/{name}")
        pods = self.get(f"/api/v1/namespaces/{name}/pods")["items"]
        for pod in pods:
            with contextlib.suppress(ApiFailure):
                self.delete(f"/api/v1/namespaces/{name}/pods/{pod['metadata']['name']}", gracePeriodSeconds=0)

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        pair = self.admin_client
        return urllib3.PoolManager(
            ca_certs=str(self.ca), cert_file=str(pair.certificate), key_file=str(pair.key), timeout=120, retries=False
        )

    def _request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Json:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind} if data else {}
        answer = self._pool.request(method, self.url + path, body=data, headers=headers)
        content: Json = json.loads(answer.data)
        if answer.status >= 300:
            raise ApiFailure(answer.status, content)
        return content


def prepared_by() -> str:
    """Name the state in which `prepare` leaves a cluster."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in FLOOR)).hexdigest()


def prepare(cluster: Cluster) -> None:
    """Wait until pods can be made, and grant the floor of rights; may be repeated."""
    cluster.make_namespace("default")
    cluster.kubectl("apply", *(f"--filename={file}" for file in FLOOR))
    cluster.wait_for(f"/api/v1/namespaces/{ACCOUNT_NAMESPACE}/serviceaccounts/{ACCOUNT}", bool)
