"""What must survive: kubelets and servers that come and go, names used again, objects removed by others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from interlink.errors import NotFound
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import Running
from tests.bench.stand import Served
from tests.kubelet.conftest import MOCK_NODE
from tests.kubelet.podstand import DEADLINE, Stand
from tests.lab.process import wait_until

pytestmark = pytest.mark.lab


def plan(**values: str) -> dict[str, str]:
    """Return the annotations that tell a mock container what to do."""
    return {f"mock.interlink.eu/{name}": value for name, value in values.items()}


FOREVER = {"annotations": plan(run="forever")}


def uid_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def job_runs(served: Served, uid: str) -> bool:
    """Say whether the server runs a pod that nobody has deleted."""
    with contextlib.suppress(NotFound):
        record = served.ours.pod(uid)
        return record.target == "run" and any(isinstance(c.state, Running) for c in record.status.containers)
    return False


def job_gone(served: Served, uid: str) -> bool:
    try:
        return served.ours.pod(uid).target == "deleted"
    except NotFound:
        return True


@contextlib.contextmanager
def stopped(stand: Stand) -> Iterator[None]:
    """Have no kubelet during the block, and a new one afterwards."""
    stand.kubelet.stop()
    try:
        yield
    finally:
        stand.kubelet.start()


def test_a_new_kubelet_submits_nothing_twice(on_mock: Stand, mock_server: Served) -> None:
    pods = [on_mock.create(f"p{n}", metadata=FOREVER) for n in range(5)]
    for pod in pods:
        on_mock.phase(pod["metadata"]["name"], "Running")
    before = {uid_of(pod): mock_server.ours.pod(uid_of(pod)).status.containers[0].container_id for pod in pods}
    with stopped(on_mock):
        pass
    on_mock.kubelet.loop.run(wait_recovered(on_mock))
    on_mock.create("new", metadata=FOREVER)
    on_mock.phase("new", "Running")
    after = {uid: mock_server.ours.pod(uid).status.containers[0].container_id for uid in before}
    assert after == before


async def wait_recovered(stand: Stand) -> None:
    await stand.kubelet.pods.recovered.wait()


def test_what_was_deleted_meanwhile_is_deleted_and_strangers_are_left_alone(
    on_mock: Stand, mock_server: Served
) -> None:
    pod = on_mock.create("p", metadata=FOREVER)
    on_mock.phase("p", "Running")
    raw = {
        "metadata": {"name": "stranger", "uid": f"{on_mock.namespace}-s", **FOREVER},
        "spec": {"nodeName": MOCK_NODE, "containers": [{"name": "c", "image": "i"}]},
    }
    elsewhere = {**raw, "metadata": {**raw["metadata"], "uid": f"{on_mock.namespace}-e"}}
    mock_server.ours.create(PodRequest(Pod(raw)))
    mock_server.ours.create(PodRequest(Pod(elsewhere), origin="another-cluster"))
    with stopped(on_mock):
        on_mock.cluster.delete(on_mock.path("p"), gracePeriodSeconds=0)
        assert job_runs(mock_server, uid_of(pod))
    wait_until(lambda: job_gone(mock_server, uid_of(pod)), DEADLINE, "the leftover to go")
    for stranger in (raw, elsewhere):
        assert job_runs(mock_server, uid_of(stranger))
        mock_server.ours.delete(PodRef(uid_of(stranger)), 0)


def test_a_graceful_delete_while_no_kubelet_was_there(on_mock: Stand, mock_server: Served) -> None:
    pod = on_mock.create("p", metadata=FOREVER)
    on_mock.phase("p", "Running")
    with stopped(on_mock):
        on_mock.cluster.delete(on_mock.path("p"))
    on_mock.gone("p")
    wait_until(lambda: job_gone(mock_server, uid_of(pod)), DEADLINE, "the job to go")


def test_an_end_that_nobody_saw_is_told_and_nothing_runs_again(on_mock: Stand, mock_server: Served) -> None:
    pod = on_mock.create("p", metadata={"annotations": plan(run="3", code="4")})
    on_mock.phase("p", "Running")
    with stopped(on_mock):
        wait_until(lambda: mock_server.ours.pod(uid_of(pod)).status.terminal, DEADLINE, "the pod to end")
    status = on_mock.phase("p", "Failed")["status"]
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert status["containerStatuses"][0]["restartCount"] == 0


def test_terminal_pods_are_left_as_they_are(on_mock: Stand, mock_server: Served) -> None:
    """Others may end a pod (an eviction, PodGC): its job is stopped, its status not touched."""
    pod = on_mock.create("p", metadata=FOREVER)
    on_mock.phase("p", "Running")
    status = {"phase": "Failed", "reason": "Evicted", "message": "by somebody else"}
    on_mock.cluster.patch(f"{on_mock.path('p')}/status", {"status": status})
    wait_until(lambda: job_gone(mock_server, uid_of(pod)), DEADLINE, "the job to be stopped")
    time.sleep(2)
    found = on_mock.cluster.get(on_mock.path("p"))["status"]
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "Evicted", "by somebody else")


def test_the_same_name_with_a_new_uid(on_mock: Stand, mock_server: Served) -> None:
    first = on_mock.create("p", metadata=FOREVER)
    on_mock.phase("p", "Running")
    on_mock.cluster.delete(on_mock.path("p"), gracePeriodSeconds=0)
    second = on_mock.create("p", metadata=FOREVER)
    found = on_mock.phase("p", "Running")
    assert uid_of(found) == uid_of(second) != uid_of(first)
    wait_until(lambda: job_gone(mock_server, uid_of(first)), DEADLINE, "the first job to go")
    assert job_runs(mock_server, uid_of(second))


def test_a_job_that_the_server_has_lost_fails_its_pod(on_mock: Stand, mock_server: Served) -> None:
    pod = on_mock.create("p", metadata=FOREVER)
    on_mock.phase("p", "Running")
    mock_server.ours.delete(PodRef(uid_of(pod)), 0)  # an operator's doing, behind our back
    status = on_mock.phase("p", "Failed")["status"]
    assert "terminated" in status["containerStatuses"][0]["state"]


def test_mirror_pods_are_removed(on_mock: Stand) -> None:
    owner = {"apiVersion": "v1", "kind": "Node", "name": MOCK_NODE, "controller": True}
    node = on_mock.cluster.get(f"/api/v1/nodes/{MOCK_NODE}")
    annotations = {"kubernetes.io/config.mirror": "abc", "kubernetes.io/config.hash": "abc"}
    metadata = {"annotations": annotations, "ownerReferences": [{**owner, "uid": node["metadata"]["uid"]}]}
    on_mock.create("mirror", metadata=metadata, automountServiceAccountToken=False, serviceAccountName="")
    on_mock.gone("mirror")


def test_a_finalizer_holds_the_object_but_not_the_job(on_mock: Stand, mock_server: Served) -> None:
    pod = on_mock.create("p", metadata={**FOREVER, "finalizers": ["test.interlink.eu/hold"]})
    on_mock.phase("p", "Running")
    on_mock.cluster.delete(on_mock.path("p"))
    on_mock.phase("p", "Failed")
    wait_until(lambda: job_gone(mock_server, uid_of(pod)), DEADLINE, "the job to go")
    on_mock.cluster.patch(on_mock.path("p"), {"metadata": {"finalizers": None}}, "merge-patch")
    on_mock.gone("p")


def test_foreign_conditions_stay_and_ready_is_put_right(on_mock: Stand) -> None:
    on_mock.create("p", metadata=FOREVER)
    on_mock.phase("p", "Running")
    on_mock.wait("p", is_ready)
    conditions = [{"type": "test.io/gate", "status": "True"}, {"type": "Ready", "status": "False"}]
    on_mock.cluster.patch(f"{on_mock.path('p')}/status", {"status": {"conditions": conditions}})
    found = on_mock.wait("p", is_ready)
    assert any(c["type"] == "test.io/gate" for c in found["status"]["conditions"])


def is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])


def test_few_requests_a_pod(on_mock: Stand) -> None:
    kube = on_mock.kubelet.kube
    before = dict(kube.requests)
    names = [f"p{n}" for n in range(10)]
    for name in names:
        on_mock.create(name, metadata={"annotations": plan(run="2")}, automountServiceAccountToken=False)
    for name in names:
        on_mock.phase(name, "Succeeded")
        on_mock.cluster.delete(on_mock.path(name))
    for name in names:
        on_mock.gone(name)
    spent = {kind: count - before.get(kind, 0) for kind, count in kube.requests.items()}
    print(spent)
    assert spent["PATCH pods/status"] <= 3 * len(names)


def test_a_pod_replaced_by_its_job_is_told_to_have_failed_first(on_mock: Stand) -> None:
    cluster = on_mock.cluster
    template = {
        "metadata": FOREVER,
        "spec": {
            "restartPolicy": "Never",
            "nodeName": on_mock.node,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "c", "image": "i"}],
        },
    }
    spec = {"podReplacementPolicy": "Failed", "backoffLimit": 3, "template": template}
    base = f"/apis/batch/v1/namespaces/{on_mock.namespace}/jobs"
    cluster.create(base, {"metadata": {"name": "j"}, "spec": spec})

    def names() -> list[str]:
        items = cluster.get(on_mock.path())["items"]
        return [item["metadata"]["name"] for item in items if item["status"]["phase"] == "Running"]

    wait_until(lambda: len(names()) == 1, DEADLINE, "the job's pod to run")
    [first] = names()
    cluster.delete(on_mock.path(first))
    wait_until(lambda: names() not in ([], [first]), DEADLINE, "the job's next pod to run")


def test_a_resize_is_refused_aloud_and_what_runs_stays_in_view(on_mock: Stand) -> None:
    small, big = {"requests": {"cpu": "100m"}}, {"requests": {"cpu": "200m"}}
    on_mock.create("p", metadata=FOREVER, container={"resources": small})
    on_mock.phase("p", "Running")
    body = {"spec": {"containers": [{"name": "c", "resources": big}]}}
    on_mock.cluster.patch(f"{on_mock.path('p')}/resize", body)
    pod = on_mock.wait("p", resize_of)
    assert (resize_of(pod)["status"], resize_of(pod)["reason"]) == ("True", "Infeasible")
    assert pod["spec"]["containers"][0]["resources"] == big
    [container] = pod["status"]["containerStatuses"]
    assert (container["resources"], container["allocatedResources"]) == (small, small["requests"])
    assert container["restartCount"] == 0
    with stopped(on_mock):
        pass
    on_mock.kubelet.loop.run(wait_recovered(on_mock))
    assert resize_of(on_mock.cluster.get(on_mock.path("p"))), "a new kubelet knows too"
    body["spec"]["containers"][0]["resources"] = small
    on_mock.cluster.patch(f"{on_mock.path('p')}/resize", body)
    on_mock.wait("p", lambda pod: not resize_of(pod))


def resize_of(pod: dict[str, Any]) -> dict[str, Any]:
    listed = pod["status"].get("conditions") or []
    return next((item for item in listed if item["type"] == "PodResizePending"), {})
