"""The API server is unreachable, killed, slow, refuses, forgets: no pod is lost, none is run twice or told wrongly."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet import proxy
from tests.kubelet.nodestand import Site, condition, site, taints
from tests.kubelet.proxy import Proxy
from tests.kubelet.test_pods_mock import plan, uid_of
from tests.lab.controlplane.cluster import Cluster
from tests.lab.process import wait_until

pytestmark = pytest.mark.lab

Json = dict[str, Any]
PATIENCE = 120.0
GIVEN_UP = "node.kubernetes.io/unreachable"
ACCOUNT = {"kind": "ServiceAccount", "serviceAccount": {"name": "interlink", "namespace": "interlink"}}


@pytest.fixture
def far(cluster: Cluster, tmp_path: Path) -> Iterator[Proxy]:
    """The way to the shared API server, to be hurt: for our kubelet alone."""
    with proxy.before(cluster.url) as made:
        yield made


@pytest.fixture
def here(cluster: Cluster, node_name: str, tmp_path: Path, far: Proxy) -> Iterator[Site]:
    """A node whose kubelet sees the API server through `far`."""
    with site(cluster, node_name, tmp_path) as made:
        made.kubelet(kubeconfig=proxy.kubeconfig(cluster.service_account, far, tmp_path / "far"))
        made.ready()
        yield made


def create(here: Site, namespace: str, name: str, **annotations: str) -> Json:
    container = {"name": "c", "image": "busybox:1.36"}
    metadata = {"name": name, "annotations": plan(**(annotations or {"run": "forever"}))}
    spec = {"nodeName": here.node, "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    return here.cluster.create(pods(namespace), {"metadata": metadata, "spec": {**spec, "containers": [container]}})


def pods(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


def phase(here: Site, namespace: str, name: str, wanted: str) -> Json:
    return here.cluster.wait_for(pods(namespace, name), lambda pod: pod["status"]["phase"] == wanted, PATIENCE)


def jobs(here: Site) -> set[str]:
    """Return the UIDs of all pods that the server is to run."""
    return {item["uid"] for item in here.server.insist("GET", "/v1/pods")["items"] if item["target"] == "run"}


def container_of(pod: Json) -> str:
    return str(pod["status"]["containerStatuses"][0]["containerID"])


class Heart:
    """Looks at the node's Lease all the time; `longest` is the longest pause between two renewals."""

    def __init__(self, here: Site) -> None:
        self._here, self._seen, self._ended = here, set[datetime](), threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def longest(self) -> float:
        times = sorted(self._seen)
        assert len(times) > 1, "the lease was hardly ever renewed"
        return max((b - a).total_seconds() for a, b in itertools.pairwise(times))

    def _look(self) -> None:
        while not self._ended.wait(1):
            self._seen.add(self._here.renewed())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [60, pytest.param(130, marks=pytest.mark.long)])
def test_the_api_server_is_unreachable_for_minutes(here: Site, far: Proxy, namespace: str, seconds: int) -> None:
    """Packets are lost without a word; the controllers give the node up, and everything is put right afterwards."""
    made = {name: create(here, namespace, name) for name in ("stays", "deleted", "forced")}
    made["ended"] = create(here, namespace, "ended", run="20", code="4")
    before = {name: container_of(phase(here, namespace, name, "Running")) for name in made}
    leader = here.leader()
    far.mode = "hole"
    begun = time.monotonic()
    here.cluster.delete(pods(namespace, "deleted"))
    here.cluster.delete(pods(namespace, "forced"), gracePeriodSeconds=0)
    made["new"] = create(here, namespace, "new", run="1")
    here.wait(lambda node: condition(node, "Ready")["status"] == "Unknown")
    time.sleep(max(0.0, begun + seconds - time.monotonic()))
    assert here.cluster.get(pods(namespace, "deleted"))["metadata"]["deletionTimestamp"]
    assert not is_ready(here.cluster.get(pods(namespace, "stays")))
    far.heal()
    here.wait(lambda node: condition(node, "Ready")["status"] == "True" and GIVEN_UP not in taints(node))
    ended = phase(here, namespace, "ended", "Failed")
    assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    phase(here, namespace, "new", "Succeeded")
    here.cluster.wait_gone(pods(namespace, "deleted"), PATIENCE)
    stays = here.cluster.wait_for(pods(namespace, "stays"), is_ready, PATIENCE)
    assert container_of(stays) == before["stays"]
    kept = {uid_of(made[name]) for name in ("stays", "ended", "new")}
    wait_until(lambda: jobs(here) == kept, PATIENCE, "the jobs of what was deleted to go")
    assert here.leader() == leader


def is_ready(pod: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])


def test_pods_run_and_leases_are_on_time_when_every_request_is_slow(here: Site, far: Proxy, namespace: str) -> None:
    far.delay = 0.7  # each way, so that a request takes a second and a half and more
    with Heart(here) as heart:
        for number in range(20):
            create(here, namespace, f"p{number}", run="1")
        for number in range(20):
            phase(here, namespace, f"p{number}", "Succeeded")
        time.sleep(15)  # for some renewals
        assert condition(here.cluster.get(here.path), "Ready")["status"] == "True"
    assert heart.longest < 30, "of 40 that it holds"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [200, pytest.param(5000, marks=pytest.mark.long)])
def test_leases_are_on_time_in_a_burst_of_pods(cluster: Cluster, node_name: str, tmp_path: Path, count: int) -> None:
    name = f"{node_name}-burst"
    cluster.make_namespace(name)
    with site(cluster, node_name, tmp_path) as here:
        here.kubelet()
        here.ready()
        with Heart(here) as heart:
            for number in range(count):
                create(here, name, f"p{number}")

            def running() -> bool:
                items = cluster.get(f"{pods(name)}?fieldSelector=status.phase%3DRunning&resourceVersion=0")["items"]
                return len(items) == count

            wait_until(running, 600, f"{count} pods to run")
            time.sleep(12)  # for one renewal more
            assert condition(cluster.get(here.path), "Ready")["status"] == "True"
        assert heart.longest < 30, "of 40 that it holds"
        assert len(jobs(here)) == count
        cluster.remove_namespace(name)
        wait_until(lambda: not jobs(here), 600, "all jobs to go")


@pytest.mark.timeout(600)
def test_an_api_server_that_is_killed_and_forgets_its_history(
    second_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    """Killed three times while pods come and go, the last time with etcd's history dropped: 410, and a new list."""
    cluster, node, space = second_cluster(), f"n{os.getpid()}-forgets", "default"
    with proxy.before(cluster.url) as far, site(cluster, node, tmp_path) as here:
        kubelet = here.kubelet(kubeconfig=proxy.kubeconfig(cluster.service_account, far, tmp_path / "far"))
        here.ready()
        made = {name: create(here, space, name) for name in ("stays", "deleted", "forced")}
        ending = [create(here, space, f"e{number}", run=str(number)) for number in range(12)]
        before = container_of(phase(here, space, "stays", "Running"))
        for _ in range(2):
            cluster.apiserver.kill()
            time.sleep(2)
            cluster.apiserver.start()
        far.cut()
        wait_until(lambda: "/api/v1/pods" in kubelet.log, PATIENCE, "the watch to break")
        cluster.delete(pods(space, "deleted"))
        cluster.delete(pods(space, "forced"), gracePeriodSeconds=0)
        made["new"] = create(here, space, "new", run="1")
        cluster.compact()
        cluster.apiserver.restart()  # what it remembers of events ends too
        far.heal()
        wait_until(lambda: "410 Expired" in kubelet.log, PATIENCE, "the refusal of the old version")
        phase(here, space, "new", "Succeeded")
        cluster.wait_gone(pods(space, "deleted"), PATIENCE)
        for pod in ending:
            found = phase(here, space, pod["metadata"]["name"], "Succeeded")
            assert found["status"]["containerStatuses"][0]["restartCount"] == 0
        assert container_of(cluster.get(pods(space, "stays"))) == before
        kept = {uid_of(pod) for pod in (made["stays"], made["new"], *ending)}
        wait_until(lambda: jobs(here) == kept, PATIENCE, "the jobs of what was deleted to go")


@pytest.mark.timeout(600)
def test_a_server_that_is_too_busy_is_asked_again_in_time_and_not_in_a_hurry(
    second_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    """Every request about pods gets 429 for some time, by a priority level whose only seat is taken."""
    cluster, node, space = second_cluster(apiserver=["--request-timeout=10m"]), f"n{os.getpid()}-busy", "default"
    with site(cluster, node, tmp_path) as here:
        kubelet = here.kubelet()
        here.ready()
        create(here, space, "deleted")
        create(here, space, "ended", run="25", code="3")
        for name in ("ended", "deleted"):
            phase(here, space, name, "Running")
        with Heart(here) as heart:
            with refused_pods(cluster):
                before = refused(cluster)
                cluster.delete(pods(space, "deleted"))
                create(here, space, "new", run="1")
                wait_until(lambda: refused(cluster) > before, PATIENCE, "a refusal")
                first = refused(cluster)
                time.sleep(30)
                assert refused(cluster) - first < 200, "of 3 pods, in 30 s"
                assert cluster.get(pods(space, "ended"))["status"]["phase"] == "Running"
            ended = phase(here, space, "ended", "Failed")
            assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
            phase(here, space, "new", "Succeeded")
            cluster.wait_gone(pods(space, "deleted"), PATIENCE)
        assert heart.longest < 30, "leases are not pods"
        assert kubelet.stop() == 0


@contextlib.contextmanager
def refused_pods(cluster: Cluster) -> Iterator[None]:
    """Have the API server answer 429 to whatever our account asks about pods.

    A level without any seat still lets one request at a time pass: that one is a PATCH of the same account whose body
    never comes.
    """
    base = "/apis/flowcontrol.apiserver.k8s.io/v1"
    limited = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0}
    level = {"type": "Limited", "limited": {**limited, "limitResponse": {"type": "Reject"}}}
    cluster.create(f"{base}/prioritylevelconfigurations", {"metadata": {"name": "none"}, "spec": level})
    everything = {"apiGroups": [""], "resources": ["pods", "pods/status"], "namespaces": ["*"], "clusterScope": True}
    rule = {"subjects": [ACCOUNT], "resourceRules": [{"verbs": ["*"], **everything}]}
    schema = {"priorityLevelConfiguration": {"name": "none"}, "matchingPrecedence": 2, "rules": [rule]}
    cluster.create(f"{base}/flowschemas", {"metadata": {"name": "no-pods"}, "spec": schema})
    token = cluster.token()
    with contextlib.ExitStack() as seats:

        def taken() -> bool:
            """Try to take the seat, and see the next one refused."""
            seats.enter_context(unfinished_patch(cluster, token))
            return status_of(cluster, token) == 429

        wait_until(taken, PATIENCE, "the only seat to be taken")
        yield
        assert status_of(cluster, token) == 429, "the seat was given away"
        cluster.delete(f"{base}/flowschemas/no-pods")


def unfinished_patch(cluster: Cluster, token: str) -> ssl.SSLSocket:
    """Begin a request about pods, and never end it."""
    where = urllib.parse.urlsplit(cluster.url)
    assert where.hostname is not None
    raw = socket.create_connection((where.hostname, where.port or 443), 10)
    made = ssl.create_default_context(cafile=str(cluster.ca)).wrap_socket(raw, server_hostname=where.hostname)
    head = (
        "PATCH /api/v1/namespaces/default/pods/nobody/status HTTP/1.1",
        f"Host: {where.netloc}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/strategic-merge-patch+json",
        "Content-Length: 100",
    )
    made.sendall("\r\n".join((*head, "", "")).encode())
    return made


def status_of(cluster: Cluster, token: str) -> int:
    """Ask for a pod that is not there, and return the answer's status."""
    where = urllib.parse.urlsplit(cluster.url)
    context = ssl.create_default_context(cafile=str(cluster.ca))
    asking = http.client.HTTPSConnection(where.netloc, timeout=30, context=context)
    with contextlib.closing(asking):
        asking.request("GET", pods("default", "nobody"), headers={"Authorization": f"Bearer {token}"})
        return asking.getresponse().status


def refused(cluster: Cluster) -> int:
    """Return how many requests the API server has refused by that priority level."""
    lines = cluster.kubectl("get", "--raw=/metrics").splitlines()
    wanted = [x for x in lines if x.startswith("apiserver_flowcontrol_rejected_requests_total") and '"no-pods"' in x]
    return int(sum(float(line.rpartition(" ")[2]) for line in wanted))
