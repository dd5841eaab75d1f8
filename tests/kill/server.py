"""A real server that is killed again and again, and clients that do not give up."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEADLINE = 240.0  # seconds, for all that is left to do after the last kill


@dataclass
class Server:
    """`interlink serve` in a process group of its own, so that a kill spares none of its processes."""

    directory: Path
    hosts: dict[str, dict[str, Any]]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    ended: list[int] = field(default_factory=list)  # exit codes of servers that were not killed

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.inventory.write_text(yaml.safe_dump({"all": {"hosts": self.hosts}}))

    @property
    def inventory(self) -> Path:
        return self.directory / "inventory.yaml"

    def start(self) -> None:
        argv = [sys.executable, "-c", "from interlink.cli import main; main()", "serve", "-i", str(self.inventory)]
        argv += ["--state-dir", str(self.directory / "state"), "--listen", f"127.0.0.1:{self.port}"]
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        """SIGKILL, to every process of the server at once."""
        assert self.process is not None
        if self.process.poll() is None:
            self.kills += 1
        else:
            self.ended.append(self.process.returncode)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Make one request; OSError or HTTPException if no whole answer came, AssertionError for an error."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status in (502, 503, 504):
                raise OSError(f"{answer.status}: {text!r}")
            assert answer.status == 200, (method, path, answer.status, text)
            written = answer.getheader("Content-Type", "").startswith("application/json")
            return json.loads(text) if path.startswith("/v1/") and written and text else text

    def answers(self) -> bool:
        """Say whether the server is up; AssertionError if it has ended by itself."""
        assert self.process is not None
        assert self.process.poll() is None, f"the server has ended: {(self.directory / 'server.log').read_text()}"
        try:
            self.ask("GET", "/healthz")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def insist(self, method: str, path: str, body: Any = None) -> Any:
        """Ask until an answer comes, as a client that wants the pod does."""
        until = time.monotonic() + DEADLINE
        while True:
            try:
                return self.ask(method, path, body)
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < until, f"{method} {path} was never answered"
                time.sleep(random.uniform(0.05, 0.3))


@dataclass
class Killer:
    """Kills the server `times` times at random moments and starts it again.

    Of five kills four come while it works, one while it starts.
    """

    server: Server
    times: int
    longest: float = 2.0  # seconds that a server works

    def run(self) -> None:
        dice = random.Random()
        for number in range(self.times):
            if number % 5:
                wait(self.server.answers, lambda: "the server never answered")
            time.sleep(dice.uniform(0, self.longest))
            self.server.kill()
            self.server.start()


@dataclass
class Clients:
    """Threads that create pods and delete every other one some time later."""

    server: Server
    pods: list[dict[str, Any]]
    deleted: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, threads: int, pace: float) -> None:
        """Create all pods, each client resting about `pace` seconds between two requests."""
        workers = [threading.Thread(target=self._work, args=(pace,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if self.failures:
            raise self.failures[0]

    def _work(self, pace: float) -> None:
        try:
            while (number := self._take()) is not None:
                pod = self.pods[number]
                uid = pod["metadata"]["uid"]
                created = json.loads(self.server.insist("POST", "/create", {"pod": pod}))
                assert created["PodUID"] == uid
                time.sleep(random.uniform(0, 2 * pace))
                if number % 2:
                    with self._lock:
                        self.deleted.append(uid)
                    self.server.insist("DELETE", "/delete", pod)
        except BaseException as error:
            self.failures.append(error)

    def _take(self) -> int | None:
        with self._lock:
            self._next += 1
            return self._next - 1 if self._next <= len(self.pods) else None


def wait(look: Callable[[], Any], what: Callable[[], str]) -> None:
    until = time.monotonic() + DEADLINE
    while not look():
        assert time.monotonic() < until, what()
        time.sleep(0.2)
