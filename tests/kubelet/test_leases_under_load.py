"""Heartbeats are on time while others, and the kubelet's own account too, flood the API server."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.kubelet.nodestand import LEASES, site
from tests.kubelet.objects import pod
from tests.lab.controlplane.cluster import Cluster

pytestmark = [pytest.mark.lab, pytest.mark.long]
THREADS = 40
LIFE = timedelta(seconds=40)  # of a Lease; the node would be given up after that


class Flood:
    """Clients that list fat pods without pause; counts the answers by their status."""

    def __init__(self, cluster: Cluster, token: str) -> None:
        self.answers: dict[int, int] = {}
        self.slowest = 0.0
        self._url = f"{cluster.url}/api/v1/pods"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pool = urllib3.PoolManager(ca_certs=str(cluster.ca), retries=False, timeout=60, maxsize=THREADS)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(THREADS)]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()
            self._pool.clear()

    def _ask(self) -> None:
        while not self._ended.is_set():
            begun = time.monotonic()
            answer = self._pool.request("GET", self._url, headers=self._headers, preload_content=False)
            while answer.read(1 << 20):
                pass
            answer.release_conn()
            self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
            self.slowest = max(self.slowest, time.monotonic() - begun)


@pytest.mark.timeout(900)
def test_leases_are_renewed_in_time_under_a_flood(second_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = second_cluster(apiserver=["--max-requests-inflight=8", "--max-mutating-requests-inflight=4"])
    with site(cluster, f"vk-flood-{os.getpid()}", tmp_path) as here:
        here.kubelet()
        here.ready()
        for number in range(40):
            fat = pod(f"fat-{number}", schedulerName="nobody")
            fat["metadata"]["annotations"] = {"fat": "x" * 200_000}
            cluster.create("/api/v1/namespaces/default/pods", fat)
        flood = Flood(cluster, cluster.token())
        renewals = [here.renewed()]
        with flood.running():
            until = time.monotonic() + 60
            while time.monotonic() < until:
                if (now := here.renewed()) != renewals[-1]:
                    renewals.append(now)
                time.sleep(0.5)
        assert flood.answers.get(429) or flood.slowest > 1, f"that was no flood: {flood.answers}, {flood.slowest:.1f} s"
        gaps = [later - earlier for earlier, later in itertools.pairwise(renewals)]
        assert len(gaps) >= 2
        assert max(gaps) < LIFE, (gaps, here.kubelets[0].log[-3000:])
        assert "was not renewed" not in here.kubelets[0].log
        here.ready()


def test_heartbeats_have_the_level_of_real_nodes_and_all_else_has_not(cluster: Cluster, node_name: str) -> None:
    token = cluster.token()
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": node_name, "leaseDurationSeconds": 40, "renewTime": now}
    lease = {"metadata": {"name": node_name}, "spec": spec}
    high = cluster.get("/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/node-high")
    try:
        levels = [
            level(cluster, token, "POST", LEASES, lease),
            level(cluster, token, "GET", f"{LEASES}/{node_name}"),
            level(cluster, token, "GET", f"/api/v1/nodes/{node_name}"),
            level(cluster, token, "GET", "/api/v1/pods?limit=1"),
        ]
    finally:
        cluster.delete(f"{LEASES}/{node_name}")
    assert [found == high["metadata"]["uid"] for found in levels] == [True, True, True, False]


def level(cluster: Cluster, token: str, method: str, path: str, body: dict[str, Any] | None = None) -> str:
    """Return the UID of the priority level that a request of the service account was given."""
    pool = urllib3.PoolManager(ca_certs=str(cluster.ca), retries=False, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = pool.request(method, cluster.url + path, body=json.dumps(body) if body else None, headers=headers)
    pool.clear()
    assert answer.status in (200, 201, 404), answer.data
    return str(answer.headers["X-Kubernetes-PF-PriorityLevel-UID"])
