"""A real server that drives a Slurm cluster by its login nodes, and pods on it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kill.server import DEADLINE, Server, wait
from tests.lab.hosts import SshHost
from tests.lab.slurm.cluster import Cluster, Job

Item = dict[str, Any]
Look = Callable[[Item], Any]


@dataclass
class Stand:
    """A server and the cluster behind it; `image` is what containers name where there are images."""

    server: Server
    cluster: Cluster
    image: str = "none"

    def pod(self, script: str, *, annotations: Mapping[str, str] | None = None, **spec: Any) -> Item:
        """Compile a pod of one container, `main`; `container` in `spec` adds fields to that."""
        uid = str(uuid.uuid4())
        main = {"name": "main", "image": self.image, "command": ["sh", "-c", script], **spec.pop("container", {})}
        return {
            "metadata": {
                "uid": uid,
                "name": f"s-{uid[:8]}",
                "namespace": "slurm",
                "annotations": dict(annotations or {}),
            },
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": [main], **spec},
        }

    @contextmanager
    def run(self, script: str, **spec: Any) -> Iterator[Run]:
        """Create a pod of one container, and delete it in the end."""
        with self.launch(self.pod(script, **spec)) as run:
            yield run

    @contextmanager
    def launch(self, pod: Item) -> Iterator[Run]:
        run = Run(self, pod)
        try:
            self.server.insist("POST", "/create", {"pod": pod})
            yield run
        finally:
            run.delete()

    def host(self) -> Item:
        """The cluster as `/v1/hosts` shows it."""
        return dict(self.server.insist("GET", "/v1/hosts")["items"][0])

    def known(self, pod: Item) -> Run:
        """A pod that was created already."""
        return Run(self, pod)

    def wait_until(self, look: Callable[[], Any], what: str) -> None:
        wait(look, lambda: f"not within {DEADLINE:.0f} s: {what}")


@dataclass
class Run:
    """One pod of a test."""

    stand: Stand
    pod: Item

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    @property
    def jobs(self) -> list[Job]:
        """Its jobs that the controller knows."""
        return self.stand.cluster.jobs(self.uid)

    @property
    def submitted(self) -> set[int]:
        """The ids of all jobs that were ever submitted for it, purged ones too once they have ended."""
        return {job.id for job in (*self.jobs, *self.stand.cluster.history(self.uid))}

    def item(self) -> Item:
        """The pod as `/v1/pods` shows it."""
        pods = self.stand.server.insist("GET", "/v1/pods")["items"]
        return next((dict(pod) for pod in pods if pod["uid"] == self.uid), {})

    def until(self, look: Look, what: str) -> Item:
        """Wait for an item with which `look` is satisfied."""
        seen: Item = {}

        def found() -> bool:
            seen.clear()
            seen.update(self.item())
            return bool(seen) and bool(look(seen))

        wait(found, lambda: f"not within {DEADLINE:.0f} s: {what}; last seen: {seen}; jobs: {self.jobs}")
        return dict(seen)

    def running(self) -> Item:
        return self.until(lambda item: all("running" in state(item, c["name"]) for c in item["containers"]), "it runs")

    def ended(self) -> Item:
        return self.until(lambda item: item["phase"] in ("Succeeded", "Failed"), "it ends")

    def state_of_job(self, *states: str) -> None:
        """Wait until the controller says so of its job."""
        self.stand.wait_until(lambda: [j.state for j in self.jobs if j.state in states], f"{self.uid} is {states}")

    def log(self, name: str = "main") -> str:
        text = self.stand.server.insist("GET", f"/v1/pods/{self.uid}/log?container={name}")
        return text.decode() if isinstance(text, bytes) else str(text)

    def delete(self) -> None:
        """Delete it, and wait until it is gone."""
        self.stand.server.insist("DELETE", "/delete", self.pod)
        self.stand.wait_until(lambda: not self.item(), f"{self.uid} is gone")


def state(item: Item, name: str = "main") -> Item:
    """The present state of a container: {"waiting"|"running"|"terminated": {...}}."""
    found = next(c for c in (*item["initContainers"], *item["containers"]) if c["name"] == name)
    return {key: value for key, value in (found.get("state") or {}).items() if value}


def code(item: Item, name: str = "main") -> int:
    return int(state(item, name)["terminated"].get("exitCode", 0))


@contextmanager
def stand(directory: Path, cluster: Cluster, hosts: list[SshHost] | None = None, **variables: Any) -> Iterator[Stand]:
    """A server for the login nodes (all of them by default), with these variables too."""
    named = {host.name: {**host.variables, **variables} for host in hosts or cluster.hosts}
    directory.mkdir(exist_ok=True)
    server = Server(directory, named)
    server.start()
    try:
        wait(server.answers, lambda: "the server never answered")
        yield Stand(server, cluster, "none" if variables.get("interlink_runtime") == "process" else "busybox:1.36")
    finally:
        server.stop()
        with contextlib.suppress(FileNotFoundError):
            (directory / "server.log").rename(directory / "server.ended.log")
