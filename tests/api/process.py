"""A real server in a process of its own: `python -m tests.api.process LISTEN [option=value ...]`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from interlink import compose
from interlink.api.app import Limits
from interlink.api.serve import Service, serve
from interlink.config.settings import Settings
from interlink.errors import InterlinkError
from tests.api.fakes import Composition

DEADLINE = 120.0  # seconds, for what takes one or two on an idle machine


@contextlib.contextmanager
def composition() -> Iterator[Any]:
    made = Composition()
    print(f"worker {os.getpid()} begins", file=sys.stderr, flush=True)
    yield made
    print(f"worker {os.getpid()} ends", file=sys.stderr, flush=True)


@contextlib.contextmanager
def dispatcher(state: Path) -> Iterator[Any]:
    """Run a real dispatcher over two mock hosts."""
    role = compose.Role("serve", driver="mock")
    settings = Settings(state_dir=state, inventory=("one,two",))
    with compose.dispatcher(settings, role) as running:
        print(f"worker {os.getpid()} begins", file=sys.stderr, flush=True)
        yield running


def main() -> int:
    listen, *options = sys.argv[1:]
    given = dict(option.split("=", 1) for option in options)
    token = given.get("token")
    limits = Limits(
        body=int(given.get("body", 1 << 20)),
        upload_seconds=float(given.get("upload", 30)),
        streams=int(given.get("streams", 48)),
    )
    make = partial(dispatcher, Path(given["state"])) if "state" in given else composition
    service = Service(make, listen, "server", 16, Path(token) if token else None, limits)
    try:
        return serve(service)
    except InterlinkError as error:
        print(f"interlink: {error}", file=sys.stderr)
        return 2


@dataclass
class Server:
    """A started server; `address` is (host, port) or the path of a unix socket."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def address(self) -> Any:
        if self.url.startswith("unix://"):
            return self.url[len("unix://") :]
        host, _, port = self.url[len("http://") :].rpartition(":")
        return host, int(port)

    def connect(self) -> socket.socket:
        """Return a new connection; it is closed with the server."""
        address = self.address
        sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self._open.append(sock)
        sock.settimeout(DEADLINE)
        sock.connect(address)
        return sock

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Make one request on a connection of its own; return status and body."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("localhost", timeout=DEADLINE)
        connection.sock = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def send(self, method: str, path: str, body: bytes = b"", *headers: str) -> socket.socket:
        """Send a request and return the connection, from which nothing has been read."""
        sock = self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers, "", ""]
        sock.sendall("\r\n".join(lines).encode() + body)
        return sock

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def threads(self) -> int:
        """Return the number of threads of all processes of the server."""
        return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in self.pids())

    def pids(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *(int(pid) for pid in task.read_text().split())]

    def metric(self, name: str) -> float:
        _, text = self.request("GET", "/metrics")
        found = re.search(rf"^{name} (\S+)$", text.decode(), re.MULTILINE)
        assert found, f"no metric {name}"
        return float(found[1])


@contextlib.contextmanager
def running(tmp_path: Path, listen: str = "127.0.0.1:0", **options: object) -> Iterator[Server]:
    """Start a server and wait until it answers; stop it in the end."""
    log = tmp_path / f"server-{time.monotonic_ns()}.log"
    with start(log, listen, **options) as process:
        server = Server(process, log, wait(lambda: _url(log, process), "the server says where it listens"))
        try:
            wait(lambda: "begins" in log.read_text(), "the worker begins")
            yield server
        finally:
            for sock in server._open:
                sock.close()


@contextlib.contextmanager
def start(log: Path, listen: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server process; its stderr goes to `log`."""
    argv = [sys.executable, "-m", "tests.api.process", listen, *(f"{k}={v}" for k, v in options.items())]
    with log.open("wb") as stderr:
        process = subprocess.Popen(argv, stderr=stderr, cwd=Path(__file__).parents[2])
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait(look: Callable[[], Any], what: str, timeout: float = DEADLINE) -> Any:
    """Return the first true value of `look`; AssertionError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < end, f"not within {timeout:.0f} s: {what}"
        time.sleep(0.02)
    return found


def _url(log: Path, process: subprocess.Popen[bytes]) -> str | None:
    text = log.read_text()
    assert process.poll() is None, f"the server has ended: {text}"
    found = re.search(r"listens on (\S+)", text)
    return found[1] if found else None


if __name__ == "__main__":
    sys.exit(main())
