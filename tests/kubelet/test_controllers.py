"""Kubernetes' own controllers work with virtual nodes: on mock hosts and on docker, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.kubelet.podstand import DEADLINE, Stand, watching
from tests.kubelet.test_pods_mock import FOREVER, plan, uid_of
from tests.lab.process import wait_until

pytestmark = pytest.mark.lab

Json = dict[str, Any]
PATIENCE = 4 * DEADLINE


@pytest.fixture
def stands(on_mock: Stand, on_docker: Stand) -> list[Stand]:
    return [on_mock, on_docker]


def template(stand: Stand, command: str, annotations: dict[str, str], **spec: Any) -> Json:
    """Return a pod template for one node; a mock host follows the annotations, docker the command."""
    container = {"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", command]}
    return {
        "metadata": {"annotations": annotations, "labels": {"app": kind_of(stand)}},
        "spec": {
            "nodeSelector": {"test-node": stand.node},
            "terminationGracePeriodSeconds": 1,
            "containers": [{**container, **spec.pop("container", {})}],
            **spec,
        },
    }


def kind_of(stand: Stand) -> str:
    return stand.node.split("-")[1]


def batch(stand: Stand, kind: str = "jobs") -> str:
    return f"/apis/batch/v1/namespaces/{stand.namespace}/{kind}"


def apps(stand: Stand, kind: str) -> str:
    return f"/apis/apps/v1/namespaces/{stand.namespace}/{kind}"


def make_job(stand: Stand, pods: Json, **spec: Any) -> str:
    """Create a job and return its path."""
    name = f"j-{kind_of(stand)}"
    stand.cluster.create(batch(stand), {"metadata": {"name": name}, "spec": {**spec, "template": pods}})
    return f"{batch(stand)}/{name}"


def ended(job: Json) -> str:
    """Return how a job ended; "" while it has not."""
    listed = job["status"].get("conditions") or []
    return next((c["type"] for c in listed if c["type"] in ("Complete", "Failed") and c["status"] == "True"), "")


def pods_of(stand: Stand) -> list[Json]:
    found: list[Json] = stand.cluster.get(f"{stand.path()}?labelSelector=app={kind_of(stand)}")["items"]
    return found


def ready_pods(stand: Stand) -> list[Json]:
    def ready(pod: Json) -> bool:
        listed = pod["status"].get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in listed)

    return [pod for pod in pods_of(stand) if ready(pod) and not pod["metadata"].get("deletionTimestamp")]


def exit_codes(pods: list[Json]) -> list[int]:
    return [pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for pod in pods]


def each(stands: list[Stand], look: Callable[[Stand], object], what: str) -> None:
    for stand in stands:
        wait_until(lambda stand=stand: look(stand), PATIENCE, f"{what} on {stand.node}")


def test_a_job_runs_every_index_once_and_never_more_than_allowed(stands: list[Stand]) -> None:
    index = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
    jobs = [
        make_job(
            stand,
            template(
                stand,
                'test "$MINE" = "$JOB_COMPLETION_INDEX" && sleep 1',
                plan(run="1"),
                restartPolicy="Never",
                container={"env": [{"name": "MINE", "valueFrom": index}]},
            ),
            completions=5,
            parallelism=2,
            completionMode="Indexed",
            backoffLimit=0,
        )
        for stand in stands
    ]
    most = 0
    until = time.monotonic() + PATIENCE
    states: list[Json] = []
    while not (states and all(map(ended, states))):
        states = [stands[0].cluster.get(job) for job in jobs]
        active = [sum(p["status"]["phase"] in ("Pending", "Running") for p in pods_of(stand)) for stand in stands]
        most = max(most, *active)
        assert time.monotonic() < until, states
        time.sleep(0.2)
    assert most == 2
    for stand, job in zip(stands, states, strict=True):
        assert ended(job) == "Complete"
        assert job["status"]["succeeded"] == 5
        assert job["status"]["completedIndexes"] == "0-4"
        assert exit_codes(pods_of(stand)) == [0] * 5


def test_a_job_gives_up_after_its_backoff_limit(stands: list[Stand]) -> None:
    jobs = [
        make_job(stand, template(stand, "exit 3", plan(code="3"), restartPolicy="Never"), backoffLimit=1)
        for stand in stands
    ]
    for stand, job in zip(stands, jobs, strict=True):
        found = stand.cluster.wait_for(job, ended, PATIENCE)
        assert ended(found) == "Failed"
        assert found["status"]["failed"] == 2
        assert exit_codes(pods_of(stand)) == [3, 3]


def test_a_job_that_restarts_in_place_counts_restarts(stands: list[Stand]) -> None:
    jobs = [
        make_job(stand, template(stand, "exit 3", plan(code="3"), restartPolicy="OnFailure"), backoffLimit=1)
        for stand in stands
    ]
    for stand, job in zip(stands, jobs, strict=True):
        found = stand.cluster.wait_for(job, ended, PATIENCE)
        assert ended(found) == "Failed"
        assert found["status"]["failed"] == 1, "one pod that was restarted, not several"


def test_a_job_is_failed_by_its_exit_code(stands: list[Stand]) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [42]}}
    jobs = [
        make_job(
            stand,
            template(stand, "exit 42", plan(code="42"), restartPolicy="Never"),
            backoffLimit=5,
            podFailurePolicy={"rules": [rule]},
        )
        for stand in stands
    ]
    for stand, job in zip(stands, jobs, strict=True):
        found = stand.cluster.wait_for(job, ended, PATIENCE)
        reasons = {item["type"]: item["reason"] for item in found["status"]["conditions"]}
        assert reasons["Failed"] == "PodFailurePolicy"
        assert exit_codes(pods_of(stand)) == [42]


def test_a_job_that_is_deleted_takes_its_running_pods_along(stands: list[Stand]) -> None:
    for stand in stands:
        make_job(stand, template(stand, "sleep 1000", plan(run="forever"), restartPolicy="Never"), parallelism=2)
    each(stands, lambda stand: len(ready_pods(stand)) == 2, "two running pods")
    for stand in stands:
        stand.cluster.delete(f"{batch(stand)}/j-{kind_of(stand)}", propagationPolicy="Background")
    each(stands, lambda stand: not pods_of(stand), "no pod left")


def test_a_cron_job_runs_its_jobs(stands: list[Stand]) -> None:
    for stand in stands:
        pods = template(stand, "true", plan(run="1"), restartPolicy="Never")
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": pods}}, "concurrencyPolicy": "Forbid"}
        stand.cluster.create(batch(stand, "cronjobs"), {"metadata": {"name": kind_of(stand)}, "spec": spec})

    def done(stand: Stand) -> bool:
        found = stand.cluster.get(f"{batch(stand, 'cronjobs')}/{kind_of(stand)}")
        return bool((found.get("status") or {}).get("lastSuccessfulTime"))

    each(stands, done, "a success")
    for stand in stands:
        assert exit_codes([pod for pod in pods_of(stand) if pod["status"]["phase"] == "Succeeded"])[0] == 0


def test_a_deployment_is_rolled_out_without_a_gap_and_scaled_down(stands: list[Stand]) -> None:
    for stand in stands:
        pods = template(stand, "sleep 1000", plan(run="forever"))
        spec = {
            "replicas": 2,
            "selector": {"matchLabels": {"app": kind_of(stand)}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": pods,
        }
        stand.cluster.create(apps(stand, "deployments"), {"metadata": {"name": kind_of(stand)}, "spec": spec})
    each(stands, lambda stand: len(ready_pods(stand)) == 2, "two ready pods")
    before = {stand.node: {uid_of(pod) for pod in pods_of(stand)} for stand in stands}
    for stand in stands:
        path = f"{apps(stand, 'deployments')}/{kind_of(stand)}"
        change = {"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}}
        stand.cluster.patch(path, change, "merge-patch")

    def renewed(stand: Stand) -> bool:
        ready = ready_pods(stand)
        assert len(ready) >= 2, "a rollout without a gap"
        found = stand.cluster.get(f"{apps(stand, 'deployments')}/{kind_of(stand)}")["status"]
        return found.get("updatedReplicas") == found.get("availableReplicas") == found.get("replicas") == 2

    each(stands, renewed, "the rollout")
    each(stands, lambda stand: len(pods_of(stand)) == 2, "the old pods to go")
    for stand in stands:
        assert not before[stand.node] & {uid_of(pod) for pod in pods_of(stand)}
        stand.cluster.kubectl("scale", "-n", stand.namespace, f"deployment/{kind_of(stand)}", "--replicas=0")
    each(stands, lambda stand: not pods_of(stand), "no pod left")


def test_a_stateful_set_keeps_its_order_and_its_names(stands: list[Stand]) -> None:
    for stand in stands:
        spec = {
            "replicas": 2,
            "serviceName": "s",
            "selector": {"matchLabels": {"app": kind_of(stand)}},
            "template": template(stand, "sleep 1000", plan(run="forever")),
        }
        stand.cluster.create(apps(stand, "statefulsets"), {"metadata": {"name": kind_of(stand)}, "spec": spec})
    each(stands, lambda stand: len(ready_pods(stand)) == 2, "two ready pods")
    before = {}
    for stand in stands:
        first, second = (stand.cluster.get(stand.path(f"{kind_of(stand)}-{number}")) for number in (0, 1))
        assert second["metadata"]["creationTimestamp"] >= first["status"]["startTime"]
        before[stand.node] = uid_of(first)
        stand.cluster.delete(stand.path(f"{kind_of(stand)}-0"))

    def replaced(stand: Stand) -> bool:
        ready = {pod["metadata"]["name"]: uid_of(pod) for pod in ready_pods(stand)}
        return ready.get(f"{kind_of(stand)}-0", before[stand.node]) != before[stand.node]

    each(stands, replaced, "the same name with a new pod")
    for stand in stands:
        stand.cluster.kubectl("scale", "-n", stand.namespace, f"statefulset/{kind_of(stand)}", "--replicas=0")
    each(stands, lambda stand: not pods_of(stand), "no pod left")


def daemon_set(stand: Stand, annotations: dict[str, str]) -> None:
    spec = {
        "selector": {"matchLabels": {"app": kind_of(stand)}},
        "template": template(stand, "sleep 1000", annotations, tolerations=[{"operator": "Exists"}]),
    }
    stand.cluster.create(apps(stand, "daemonsets"), {"metadata": {"name": kind_of(stand)}, "spec": spec})


def test_a_daemon_set_that_tolerates_everything_runs_and_survives_a_cordon(stands: list[Stand]) -> None:
    for stand in stands:
        daemon_set(stand, FOREVER["annotations"])
    each(stands, lambda stand: len(ready_pods(stand)) == 1, "its pod")
    for stand in stands:
        taint = {"key": "test.interlink.eu/away", "effect": "NoExecute"}
        stand.cluster.patch(f"/api/v1/nodes/{stand.node}", {"spec": {"unschedulable": True, "taints": [taint]}})
    before = {uid_of(pod) for stand in stands for pod in ready_pods(stand)}
    time.sleep(3)  # time for an eviction that must not come
    assert {uid_of(pod) for stand in stands for pod in ready_pods(stand)} == before


def test_a_daemon_set_whose_pods_cannot_run_here_is_not_replaced_again_and_again(on_mock: Stand) -> None:
    """Such as every cluster has: kube-proxy and the like tolerate everything, and need what no host gives."""
    daemon_set(on_mock, plan(run="no such plan"))
    wait_until(lambda: pods_of(on_mock), PATIENCE, "the pod")
    [pod] = pods_of(on_mock)
    name = pod["metadata"]["name"]
    event = on_mock.event(name, "PodFeatureUnsupported")
    assert "no such plan" in event["message"]
    assert "virtual-node.interlink/type" in event["message"], "it says how to keep such pods away"
    time.sleep(5)  # a failed one would be replaced after a second
    [now] = pods_of(on_mock)
    assert uid_of(now) == uid_of(pod)
    assert now["status"]["phase"] == "Pending"
    assert now["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodFeatureUnsupported"


@pytest.mark.parametrize("how", ["eviction", "taint"])
def test_who_is_evicted_stops_gracefully_and_keeps_the_reason(stands: list[Stand], how: str) -> None:
    for stand in stands:
        command = ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"]
        pod = stand.create(f"p-{kind_of(stand)}", metadata=FOREVER, container={"command": command})
        name = pod["metadata"]["name"]
        stand.phase(name, "Running")
        with watching(stand, pod) as seen:
            if how == "eviction":
                body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
                stand.cluster.create(f"{stand.path(name)}/eviction", body)
            else:
                taint = {"key": "test.interlink.eu/away", "effect": "NoExecute"}
                stand.cluster.patch(f"/api/v1/nodes/{stand.node}", {"spec": {"taints": [taint]}})
            stand.gone(name, PATIENCE)
        last = seen[-1]["status"]
        reason = "EvictionByEvictionAPI" if how == "eviction" else "DeletionByTaintManager"
        conditions = {item["type"]: item for item in last["conditions"]}
        assert conditions["DisruptionTarget"]["reason"] == reason
        assert last["phase"] == "Failed"
        [container] = last["containerStatuses"]
        assert container["state"]["terminated"]["exitCode"] == (7 if kind_of(stand) == "docker" else 143)
