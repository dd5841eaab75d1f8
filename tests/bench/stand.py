"""A real `interlink serve` for a benchmark, over mock hosts or over the lab's docker host by SSH."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlink.client import Client, ContractClient
from interlink.errors import ConnectionLost
from interlink.model.driver import ChangeFeed, PodRecord
from interlink.model.host import Host
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import PodStatus
from tests.bench import usage
from tests.bench.measure import wait
from tests.bench.pods import FLOOR
from tests.lab import process, shared
from tests.lab.hosts import Engine
from tests.lab.sshd import DOCKER_USER

_COMMAND = [sys.executable, "-c", "from interlink.cli import main; main()", "serve"]
PATIENCE = 300.0  # seconds, for what takes a few


@dataclass
class Served:
    """A running server and both clients of it."""

    pid: int
    url: str
    state: Path
    ours: Client
    contract: ContractClient

    @property
    def server_id(self) -> str:
        return (self.state / "serve" / "server-id").read_text().strip()

    def pids(self) -> list[int]:
        """Return the server's processes: gunicorn's master, its worker, what these have started."""
        return [self.pid, *(stat.pid for stat in process.descendants(self.pid))]

    def create_all(self, requests: Sequence[PodRequest], threads: int) -> None:
        """Create by the contract, so many at once; each is launched before its thread takes the next.

        A launch that outlasts the server's patience is told by its watch: asking again and again would cost more than
        all that is measured.
        """

        def create(request: PodRequest) -> None:
            if self.contract.create(request).jid == request.pod.uid:
                launches.wait(request.pod.uid)

        with closing(Watch(self.ours, _is_launched)) as launches:
            in_parallel(create, requests, threads)

    def submit_all(self, requests: Sequence[PodRequest], threads: int) -> None:
        """Create by `/v1`, so many at once, each answered when it is recorded; return when all are launched."""
        with closing(Watch(self.ours, _is_launched)) as launches:
            in_parallel(self.ours.accept, requests, threads)
            launches.wait(*(request.pod.uid for request in requests))

    def delete_all(self, requests: Sequence[PodRequest]) -> None:
        """Delete pods at once, and wait until the hosts have confirmed it."""
        for request in requests:
            self.ours.delete(PodRef.of(request.pod), 0)
        uids = {request.pod.uid for request in requests}
        wait(lambda: not uids & {r.uid for r in self.ours.pods()}, "the pods are gone", PATIENCE, 0.2)


class Watch:
    """The pods that have come so far, from a watch that begins when somebody asks. Thread-safe."""

    def __init__(self, client: Client, holds: Callable[[PodStatus], bool]) -> None:
        self._client, self._holds = client, holds
        self._known: set[str] = set()
        self._news = threading.Condition()
        self._feed: ChangeFeed | None = None

    def wait(self, *uids: str, patience: float = PATIENCE) -> None:
        """Wait until it holds, or has held, of all of them; `patience` in seconds."""
        wanted = set(uids)
        with self._news:
            if self._feed is None:
                self._feed = self._client.watch()
                threading.Thread(target=self._read, args=(self._feed,), daemon=True).start()
            if not self._news.wait_for(lambda: wanted <= self._known, patience):
                late = len(wanted - self._known)
                raise TimeoutError(f"{late} of {len(wanted)} pods were not there within {patience:.0f} s")

    def close(self) -> None:
        if self._feed is not None:
            self._feed.close()

    def _read(self, feed: ChangeFeed) -> None:
        with contextlib.suppress(ConnectionLost):  # it is closed in the end
            for change in feed:
                if isinstance(change.object, PodRecord) and self._holds(change.object.status):
                    with self._news:
                        self._known.add(change.object.uid)
                        self._news.notify_all()


def _is_launched(status: PodStatus) -> bool:
    return status.jid not in ("", status.uid)


def in_parallel(call: Callable[[Any], object], items: Sequence[Any], threads: int) -> None:
    """Call for each item from so many threads; the first error is raised."""
    if threads == 1:
        for item in items:
            call(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(call, items):
            pass


@contextmanager
def serving(directory: Path, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[Served]:
    """Run `interlink serve` over these hosts until the context is left; state and log are in `directory`."""
    inventory, state, log = directory / "inventory.yaml", directory / "state", directory / "serve.log"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    flags = ["-i", str(inventory), "--state-dir", str(state), "--listen", "127.0.0.1:0"]
    with log.open("wb") as stderr:
        server = subprocess.Popen(
            [*_COMMAND, *flags], cwd=directory, env=process.clean_environment(), stderr=stderr, stdin=subprocess.DEVNULL
        )
    try:
        wait(lambda: _url(server, log), "the server listens", PATIENCE)
        url = _url(server, log)
        with closing(Client(url)) as ours, closing(ContractClient(url)) as contract:
            served = Served(server.pid, url, state, ours, contract)
            wait(lambda: all(h.reachable for h in _hosts(ours, len(hosts))), "the hosts are reached", PATIENCE)
            yield served
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            process.end([*process.descendants(server.pid), *filter(None, [process.Stat.of(server.pid)])], "the server")
            server.wait()


def _url(server: subprocess.Popen[bytes], log: Path) -> str:
    text = log.read_text()
    if server.poll() is not None:
        raise RuntimeError(f"the server has ended: {text}")
    found = re.search(r"listens on (\S+)", text)
    return found[1] if found else ""


def _hosts(client: Client, number: int) -> list[Any]:
    found = client.hosts()
    return found if len(found) == number else []


@dataclass
class Stand:
    """The lab's docker host with a server that drives it."""

    served: Served
    engine: Engine
    host: Host
    directory: Path
    sshd: int

    @property
    def on_host(self) -> Path:
        """The server's own directory on the host; its scripts work in it."""
        return self.directory / "root" / self.served.server_id

    def containers(self) -> list[str]:
        """Return the ids of all containers of this stand, those of the floor too."""
        labels = [f"label=interlink.eu/server={name}" for name in (self.served.server_id, FLOOR)]
        return [one for label in labels for one in self.engine.containers(label)]


@contextmanager
def docker_stand(beside: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> Iterator[Stand]:
    """Have the lab's docker host (started if need be) driven by a server of our own; nothing of it is left.

    `beside` are other hosts of the server, `more` are variables of the docker host.
    """
    lab = shared.Lab()
    with contextlib.closing(lab.use()):
        lab.up("docker")
        account = lab.docker_host
        assert account.engine is not None
        directory = lab.private_directory()
        root = directory / "root"
        root.mkdir(mode=0o700)
        owner = pwd.getpwnam(DOCKER_USER)
        os.chown(root, owner.pw_uid, owner.pw_gid)
        variables = {**account.variables, "interlink_root": str(root), "interlink_pods": 1000, **more}
        host = Host(account.name, vars=variables)
        server = ""
        try:
            with serving(directory, {account.name: variables, **(beside or {})}) as served:
                server = served.server_id
                init = lab.docker_sshd._daemon.stat()
                assert init is not None
                yield Stand(served, account.engine, host, directory, init.pid)
        finally:
            _remove(account.engine, server, root)
            lab.remove_private(directory)


def _remove(engine: Engine, server: str, root: Path) -> None:
    """End what the server has left on the host: its supervisor first, which would start containers again."""
    process.end(usage.working_in(root), "the supervisor")
    for name in filter(None, (server, FLOOR)):
        ids = engine.containers(f"label=interlink.eu/server={name}")
        for start in range(0, len(ids), 20):
            engine.run("rm", "-f", "-v", *ids[start : start + 20], timeout=PATIENCE)
