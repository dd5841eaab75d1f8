"""The server is killed while pods come and go: each accepted pod runs once, each deleted one is gone.

Every container writes its pod's UID to a file of the host when it starts: what really ran is counted there,
not where we keep our books.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kill.server import Clients, Killer, Server, wait
from tests.lab.hosts import SshHost
from tests.lab.slurm.cluster import Cluster
from tests.lab.sshd import PLAIN_USER

PODS = 200
KILLS = 30


@dataclass
class Site:
    """A host, and how a pod on it leaves its mark."""

    variables: dict[str, Any]
    image: str
    marks: Path
    root: Path | None  # where pods without an image run; None where there are images
    seen: str = ""  # the marks' file as a container names it, where that differs

    def pod(self, seconds: int) -> dict[str, Any]:
        uid = str(uuid.uuid4())
        script = f"echo {uid} >> {self.seen or self.marks}; sleep {seconds}"
        main: dict[str, Any] = {"name": "main", "image": self.image, "command": ["/bin/sh", "-c", script]}
        spec: dict[str, Any] = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [main]}
        if self.root is None:
            main["volumeMounts"] = [{"name": "marks", "mountPath": str(self.marks.parent)}]
            spec["volumes"] = [{"name": "marks", "hostPath": {"path": str(self.marks.parent)}}]
        return {"metadata": {"uid": uid, "name": f"k-{uid[:8]}", "namespace": "kill"}, "spec": spec}


def storm(server: Server, site: Site, pods: int, *, threads: int, pace: float) -> Clients:
    """Create and delete pods while the server is killed, and check what is left when all is quiet."""
    clients = Clients(server, [site.pod(seconds=number % 4) for number in range(pods)])
    failed: list[BaseException] = []

    def work() -> None:
        try:
            clients.run(threads, pace)
        except BaseException as error:
            failed.append(error)

    server.start()
    worker = threading.Thread(target=work)
    worker.start()
    try:
        Killer(server, KILLS).run()
    finally:
        worker.join()
    assert not failed, failed
    assert server.kills == KILLS
    assert server.ended == [], "a server has ended by itself"
    check(server, site, clients)
    return clients


def check(server: Server, site: Site, clients: Clients) -> None:
    kept = {p["metadata"]["uid"] for p in clients.pods} - set(clients.deleted)
    seen: dict[str, Any] = {}

    def settled() -> bool:
        seen.clear()
        seen.update({p["uid"]: p for p in server.insist("GET", "/v1/pods")["items"]})
        return seen.keys() == kept and all(_ended(p) for p in seen.values())

    wait(settled, lambda: f"{seen.keys() - kept} are left, {kept - seen.keys()} are missing; of {seen}")
    ran = Counter(site.marks.read_text().split())
    assert {uid: count for uid, count in ran.items() if count > 1} == {}, "these ran more than once"
    assert kept - ran.keys() == set(), "these were accepted and never ran"
    assert ran.keys() <= {p["metadata"]["uid"] for p in clients.pods}
    assert {_code(p) for p in seen.values()} == {0}


def _ended(pod: dict[str, Any]) -> bool:
    return all("terminated" in (c.get("state") or {}) for c in pod["containers"])


def _code(pod: dict[str, Any]) -> int:
    return int(pod["containers"][0]["state"]["terminated"]["exitCode"])


@pytest.fixture
def server_at(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], Server]]:
    made: list[Server] = []

    def make(variables: dict[str, Any]) -> Server:
        made.append(Server(tmp_path, {"host1": variables}))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.mark.timeout(600)
def test_a_server_of_processes_is_killed_thirty_times(
    tmp_path: Path, server_at: Callable[[dict[str, Any]], Server]
) -> None:
    root = tmp_path / "root"
    variables = {
        "ansible_connection": "local",
        "interlink_driver": "shell",
        "interlink_root": str(root),
        "interlink_pods": PODS,
    }
    server = server_at(variables)
    site = Site(variables, "none", tmp_path / "marks", root)
    clients = storm(server, site, PODS, threads=8, pace=2.0)
    (ours,) = (path for path in root.iterdir() if (path / "pods").is_dir())
    left = {path.name for path in (ours / "pods").iterdir()}
    assert left & set(clients.deleted) == set(), "these were deleted and are still on the host"
    for pod in clients.pods:
        server.insist("DELETE", "/delete", pod)
    wait(lambda: not list((ours / "pods").iterdir()), lambda: "not everything is gone from the host")


@pytest.mark.lab
@pytest.mark.timeout(900)
def test_a_server_of_docker_pods_over_ssh_is_killed_thirty_times(
    docker_host: SshHost, private_directory: Path, server_at: Callable[[dict[str, Any]], Server]
) -> None:
    marks = private_directory / "marks"
    marks.mkdir(mode=0o777)
    marks.chmod(0o777)
    variables = {**docker_host.variables, "interlink_hostpath_allow": [str(marks)], "interlink_pods": PODS}
    server = server_at(variables)
    site = Site(variables, "busybox:1.36", marks / "marks", None)
    clients = storm(server, site, PODS, threads=8, pace=2.0)
    engine, label = docker_host.engine, f"label=interlink.eu/server={server_id(server)}"
    deleted = {f"label=interlink.eu/uid={uid}" for uid in clients.deleted}
    assert [uid for uid in deleted if engine.containers(uid)] == [], "these were deleted and are still there"
    for pod in clients.pods:
        server.insist("DELETE", "/delete", pod)
    wait(lambda: not engine.containers(label), lambda: "not everything is gone from the host")


@pytest.mark.lab
@pytest.mark.timeout(1500)
def test_a_server_of_slurm_jobs_is_killed_thirty_times(slurm: Cluster, tmp_path: Path) -> None:
    marks = slurm.home / f"marks-{tmp_path.name}-{uuid.uuid4()}"
    variables = {"interlink_runtime": "process", "interlink_pods": PODS, "interlink_connects_per_minute": 600}
    server = Server(tmp_path, {host.name: {**host.variables, **variables} for host in slurm.hosts})
    site = Site(variables, "none", marks, tmp_path, seen=f"/home/{PLAIN_USER}/{marks.name}")
    try:
        clients = storm(server, site, PODS, threads=8, pace=2.0)
        uids = {pod["metadata"]["uid"] for pod in clients.pods}
        for pod in clients.pods:
            server.insist("DELETE", "/delete", pod)
        wait(lambda: not server.insist("GET", "/v1/pods")["items"], lambda: "not everything is gone")
        ids: dict[str, set[int]] = {}
        for job in (*slurm.jobs(), *slurm.history()):
            ids.setdefault(job.name, set()).add(job.id)
        assert {uid: ids[uid] for uid in uids if len(ids.get(uid, ())) > 1} == {}, "these were submitted more than once"
        alive = {job.name for job in slurm.jobs() if job.state in ("PENDING", "RUNNING", "COMPLETING")}
        assert alive & uids == set(), "these are gone for us, and not for Slurm"
    finally:
        server.stop()
        marks.unlink(missing_ok=True)


def server_id(server: Server) -> str:
    return next((server.directory / "state").rglob("server-id")).read_text().strip()
