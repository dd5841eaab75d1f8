"""What older configurations change for pods that run far from the cluster."""

from __future__ import annotations

import asyncio
from typing import Any

from interlink.bundle import services
from interlink.kubelet.jobaccess import StatedApi, without_projected
from interlink.kubelet.settings import JobAccess
from interlink.model.pod import Pod

SERVICE = {
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]},
}
CA = {"metadata": {"name": "kube-root-ca.crt", "namespace": "a"}, "data": {"ca.crt": "INSIDE", "more": "x"}}
POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "a"},
    "spec": {
        "volumes": [{"name": "token", "projected": {"sources": []}}, {"name": "work", "emptyDir": {}}],
        "containers": [{"name": "c", "volumeMounts": [{"name": "token", "mountPath": "/t"}, {"name": "work"}]}],
    },
}


class Server:
    """Answers reads as the API server would."""

    async def get(self, path: str, **query: object) -> dict[str, Any]:
        return CA if "configmaps" in path else {"items": [SERVICE]}


def stated(access: JobAccess) -> StatedApi:
    return StatedApi(Server(), access)  # type: ignore[arg-type]


def test_the_variables_of_the_api_server_are_those_of_the_configuration() -> None:
    found = asyncio.run(stated(JobAccess("192.0.2.9", "6443")).kubernetes())
    variables = services.variables(Pod(POD), found)
    assert variables["KUBERNETES_SERVICE_HOST"] == "192.0.2.9"
    assert variables["KUBERNETES_SERVICE_PORT"] == "6443"
    assert variables["KUBERNETES_PORT"] == "tcp://192.0.2.9:6443"
    assert SERVICE["spec"]["clusterIP"] == "10.96.0.1"  # type: ignore[index]
    assert asyncio.run(stated(JobAccess()).kubernetes())[0]["spec"]["ports"] == SERVICE["spec"]["ports"]  # type: ignore[index]


def test_the_authority_is_that_of_the_configuration() -> None:
    async def data(access: JobAccess) -> Any:
        found = await stated(access).get("ConfigMap", "a", "kube-root-ca.crt")
        return found and found["data"]

    assert asyncio.run(data(JobAccess(ca="OUTSIDE"))) == {"ca.crt": "OUTSIDE", "more": "x"}
    assert asyncio.run(data(JobAccess())) == CA["data"]


def test_projected_volumes_are_taken_out_with_their_mounts() -> None:
    spec = without_projected(POD)["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["work"]
    assert [mount["name"] for mount in spec["containers"][0]["volumeMounts"]] == ["work"]
    assert len(POD["spec"]["volumes"]) == 2
    plain: dict[str, Any] = {"metadata": {}, "spec": {"containers": []}}
    assert without_projected(plain) is plain
