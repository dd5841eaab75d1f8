"""The life of pods on a docker host, from the API server to the container and back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from interlink.model.driver import LogQuery
from interlink.model.pod import PodRef
from tests.kubelet.podstand import Stand, watching
from tests.lab.hosts import SshHost
from tests.lab.process import wait_until

pytestmark = pytest.mark.lab


def test_a_pod_runs_to_its_end(on_docker: Stand) -> None:
    on_docker.create("p", container={"command": ["sh", "-c", "echo hello; exit 3"]})
    status = on_docker.phase("p", "Failed")["status"]
    conditions = {item["type"]: item["status"] for item in status["conditions"]}
    assert conditions == {
        **dict.fromkeys(("ContainersReady", "Ready", "PodReadyToStartContainers"), "False"),
        **dict.fromkeys(("Initialized", "PodScheduled"), "True"),
    }
    [container] = status["containerStatuses"]
    ended = container["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    assert container["containerID"].startswith("docker://")
    assert status["podIP"]
    assert status["hostIP"]
    assert status["qosClass"] == "BestEffort"
    for reason in ("Pulled", "Created", "Started"):
        assert on_docker.event("p", reason)["type"] == "Normal"
    on_docker.cluster.delete(on_docker.path("p"))
    on_docker.gone("p")


def running(stand: Stand, name: str) -> str:
    """Wait until a pod runs and return its first container's id."""
    pod = stand.wait(name, lambda pod: pod["status"]["phase"] == "Running" and ready(pod))
    return str(pod["status"]["containerStatuses"][0]["containerID"])


def ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])


def log(stand: Stand, name: str, container: str = "c") -> str:
    """Return a container's log as the server has it."""
    uid = stand.cluster.get(stand.path(name))["metadata"]["uid"]
    return stand.kubelet.loop.run(read_log(stand, uid, container))


async def read_log(stand: Stand, uid: str, container: str) -> str:
    async with stand.kubelet.backend.logs(LogQuery(PodRef(uid), container)) as chunks:
        return b"".join([chunk async for chunk in chunks]).decode()


SLEEP = ["sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"]


def test_a_graceful_delete_ends_as_soon_as_the_containers_have(on_docker: Stand) -> None:
    pod = on_docker.create("p", container={"command": SLEEP}, terminationGracePeriodSeconds=120, restartPolicy="Always")
    running(on_docker, "p")
    with watching(on_docker, pod) as seen:
        begun = time.monotonic()
        on_docker.cluster.delete(on_docker.path("p"))
        on_docker.gone("p")
    assert time.monotonic() - begun < 100
    last = seen[-1]
    assert last["status"]["phase"] == "Failed"
    assert last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 5
    assert on_docker.event("p", "Killing")["count"] == 1


def test_a_forced_delete_takes_the_container_too(on_docker: Stand, docker_host: SshHost) -> None:
    on_docker.create("p", container={"command": ["sleep", "1000"]}, terminationGracePeriodSeconds=120)
    identity = running(on_docker, "p").removeprefix("docker://")
    on_docker.cluster.delete(on_docker.path("p"), gracePeriodSeconds=0)
    assert docker_host.engine is not None
    wait_until(lambda: identity not in docker_host.engine.containers(""), 60, "the container to go")


def test_env_from_every_source(on_docker: Stand) -> None:
    cluster, base = on_docker.cluster, f"/api/v1/namespaces/{on_docker.namespace}"
    cluster.create(f"{base}/configmaps", {"metadata": {"name": "cm"}, "data": {"A": "a$(B)", "B": "$$b", "x.y": "dot"}})
    cluster.create(f"{base}/secrets", {"metadata": {"name": "sec"}, "stringData": {"PW": "s3cret"}})
    cluster.create(
        f"{base}/services",
        {"metadata": {"name": "web-api"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"name": "http", "port": 80}]}},
    )
    env = [
        {"name": "LITERAL", "value": "$$(A) $(P_A) $(MISSING) $(WEB_API_SERVICE_HOST)"},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "B"}}},
        {"name": "OPTIONAL", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no", "optional": True}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "PW"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "URL", "value": "http://$(IP):80/$(KEY)$$"},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]
    on_docker.create(
        "p",
        container={
            "env": env,
            "envFrom": [
                {"prefix": "P_", "configMapRef": {"name": "cm"}},
                {"secretRef": {"name": "absent", "optional": True}},
            ],
            "command": ["env", "ARG=$(URL)"],
        },
    )
    pod = on_docker.phase("p", "Succeeded")
    seen = dict(line.split("=", 1) for line in log(on_docker, "p").splitlines())
    address = seen["IP"]
    assert address
    assert pod["status"]["podIP"]
    wanted = {
        "P_A": "a$(B)",
        "P_B": "$$b",
        "P_x.y": "dot",
        "LITERAL": "$(A) a$(B) $(MISSING) 10.96.7.7",
        "KEY": "$$b",
        "SECRET": "s3cret",
        "NAME": "p",
        **dict.fromkeys(("URL", "ARG"), f"http://{address}:80/$$b$"),
        "CPU": "4",
        "WEB_API_PORT_80_TCP": "tcp://10.96.7.7:80",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443",
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert "OPTIONAL" not in seen


def test_volumes_of_every_kind_and_their_updates(on_docker: Stand) -> None:
    cluster, base = on_docker.cluster, f"/api/v1/namespaces/{on_docker.namespace}"
    cluster.create(f"{base}/configmaps", {"metadata": {"name": "cm"}, "data": {"k": "one\n"}})
    cluster.create(f"{base}/secrets", {"metadata": {"name": "sec"}, "stringData": {"pw": "hidden"}})
    token = {"serviceAccountToken": {"path": "token", "audience": "me", "expirationSeconds": 600}}
    volumes = [
        {"name": "cm", "configMap": {"name": "cm"}},
        {"name": "sec", "secret": {"secretName": "sec", "defaultMode": 0o400}},
        {"name": "down", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "all", "projected": {"sources": [token, {"configMap": {"name": "cm"}}, {"secret": {"name": "sec"}}]}},
        {"name": "empty", "emptyDir": {}},
    ]
    script = "ls -L /v/*; cat /v/sec/pw /v/all/pw /v/all/k; while :; do cat /v/cm/k /v/down/labels; sleep 1; done"
    on_docker.create(
        "p",
        metadata={"labels": {"l": "first"}},
        volumes=volumes,
        container={
            "volumeMounts": [{"name": v["name"], "mountPath": f"/v/{v['name']}"} for v in volumes],
            "command": ["sh", "-c", script],
        },
    )
    running(on_docker, "p")
    said = log(on_docker, "p")
    assert "hiddenhiddenone" in said
    assert "token" in said
    cluster.patch(f"{base}/configmaps/cm", {"data": {"k": "two\n"}})
    cluster.patch(on_docker.path("p"), {"metadata": {"labels": {"l": "second"}}})
    wait_until(lambda: 'l="second"' in log(on_docker, "p"), 60, "the label to arrive")
    wait_until(lambda: "two\n" in log(on_docker, "p"), 120, "the ConfigMap's change to arrive")


def test_a_missing_configmap_holds_the_pod_until_it_appears(on_docker: Stand) -> None:
    volume = {"name": "v", "configMap": {"name": "late"}}
    on_docker.create("env", container={"envFrom": [{"configMapRef": {"name": "late"}}]})
    on_docker.create("vol", volumes=[volume], container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]})
    on_docker.wait("env", lambda pod: waiting(pod) == "CreateContainerConfigError")
    on_docker.wait("vol", lambda pod: waiting(pod) == "ContainerCreating")
    assert on_docker.event("env", "Failed")["message"] == 'Error: configmap "late" not found'
    failed = on_docker.event("vol", "FailedMount")
    assert failed["message"] == 'MountVolume.SetUp failed for volume "v" : configmap "late" not found'
    on_docker.cluster.create(f"/api/v1/namespaces/{on_docker.namespace}/configmaps", {"metadata": {"name": "late"}})
    on_docker.phase("env", "Succeeded")
    on_docker.phase("vol", "Succeeded")


def waiting(pod: dict[str, Any]) -> str:
    statuses = pod["status"].get("containerStatuses") or [{}]
    return str(statuses[0].get("state", {}).get("waiting", {}).get("reason", ""))


def test_a_pod_that_cannot_be_run_fails_and_names_the_field(on_docker: Stand) -> None:
    on_docker.create("p", hostNetwork=True)
    status = on_docker.phase("p", "Failed")["status"]
    assert status["reason"] == "PodFeatureUnsupported"
    assert "hostNetwork" in status["message"]
    assert "hostNetwork" in on_docker.event("p", "PodFeatureUnsupported")["message"]


def test_a_pod_that_never_ran_goes_at_once(on_docker: Stand) -> None:
    volumes = [{"name": "v", "configMap": {"name": "never"}}]
    mounts = [{"name": "v", "mountPath": "/v"}]
    pod = on_docker.create("p", volumes=volumes, container={"volumeMounts": mounts}, terminationGracePeriodSeconds=120)
    on_docker.event("p", "FailedMount")
    with watching(on_docker, pod) as seen:
        begun = time.monotonic()
        on_docker.cluster.delete(on_docker.path("p"))
        on_docker.gone("p")
    assert time.monotonic() - begun < 100
    [container] = seen[-1]["status"]["containerStatuses"]
    assert container["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert seen[-1]["status"]["phase"] == "Failed"
