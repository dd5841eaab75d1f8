"""The server as a process: where it listens, how it ends, what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from interlink.client import Client
from tests.api.process import DEADLINE, Server, running, start, wait

UID = "12345678-1234-1234-1234-123456789abc"


def pod(**annotations: str) -> dict[str, object]:
    plan = {f"mock.interlink.eu/{key}": value for key, value in annotations.items()}
    metadata = {"name": "p1", "namespace": "default", "uid": UID, "annotations": plan}
    return {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "x"}], "restartPolicy": "Never"}}


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(DEADLINE)


def fails_to_start(tmp_path: Path, listen: str, **options: object) -> str:
    """Start a server that must refuse; return the one line that it says."""
    log = tmp_path / "refused.log"
    with start(log, listen, **options) as process:
        assert ended(process) == 2
    text = log.read_text().strip()
    assert "\n" not in text
    return text


def test_bodies_on_any_method_sized_and_chunked(server: Server) -> None:
    assert server.request("GET", "/create", {"pod": pod()})[0] == 200
    chunked = server.send("GET", "/status")
    chunked.close()
    sock = server.connect()
    sock.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (b"[", b'{"metadata":{"uid":"' + UID.encode(), b'"}}', b"]"):
        sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
    sock.sendall(b"0\r\n\r\n")
    assert b"200 OK" in sock.recv(1 << 16)
    assert server.request("DELETE", "/delete", pod())[0] == 200


def test_an_oversized_body_is_413_sized_or_chunked(server: Server) -> None:
    assert server.request("POST", "/create", b" " * 200_000)[0] == 413
    sock = server.connect()
    sock.sendall(b"POST /create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    sock.sendall(b"%x\r\n%s\r\n" % (150_000, b" " * 150_000))
    assert b" 413 " in sock.recv(1 << 16)
    assert server.request("GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b" 408 "),
        (b"POST /create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", b" 408 "),
        (b"POST /delete HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b" 400 "),
    ],
)
def test_a_slow_or_broken_upload_is_answered_and_harms_nobody(server: Server, sent: bytes, status: bytes) -> None:
    sock = server.connect()
    sock.sendall(sent)
    assert status in sock.recv(1 << 16)
    assert server.request("GET", "/healthz")[0] == 200


def test_an_upload_that_breaks_off_harms_nobody(server: Server) -> None:
    for path in ("/create", "/delete", "/status", "/getLogs"):
        sock = server.connect()
        sock.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{" % path.encode())
        sock.close()
    assert server.request("GET", "/healthz")[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_headers_that_never_end_are_cut_off(server: Server) -> None:
    socks = [server.connect() for _ in range(20)]  # more than there are threads
    for sock in socks:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    for sock in socks:
        assert sock.recv(100) == b""
    assert server.request("GET", "/healthz")[0] == 200


def test_a_drip_feeding_client_is_cut_off(server: Server) -> None:
    """One byte at a time restarts a time-out per read for ever; the deadline is for the whole body."""
    sock = server.connect()
    sock.sendall(b"POST /create HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
    sock.settimeout(0.1)
    end = time.monotonic() + DEADLINE
    answer = b""
    while not answer:
        assert time.monotonic() < end
        try:
            sock.sendall(b" ")
            answer = sock.recv(1 << 16)
        except TimeoutError:
            continue
    assert b" 408 " in answer


# --- listening


def test_a_taken_port_is_one_line_and_2(server: Server, tmp_path: Path) -> None:
    host, port = server.address
    assert "port is already taken" in fails_to_start(tmp_path, f"{host}:{port}")


@pytest.mark.parametrize("listen", ["", "3000", "localhost", "host:port", "127.0.0.1:99999", "unix://relative"])
def test_no_address_is_one_line_and_2(tmp_path: Path, listen: str) -> None:
    assert "interlink: " in fails_to_start(tmp_path, listen)


def test_beyond_loopback_only_with_a_token(tmp_path: Path) -> None:
    for listen in ("0.0.0.0:0", "[::]:0"):
        assert "needs authentication" in fails_to_start(tmp_path, listen)
    token = tmp_path / "token"
    assert "cannot be read" in fails_to_start(tmp_path, "0.0.0.0:0", token=token)
    token.write_text("\n")
    assert "is empty" in fails_to_start(tmp_path, "0.0.0.0:0", token=token)


def test_with_a_token_every_request_needs_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("sesame\n")
    with running(tmp_path, token=token) as server:
        assert server.request("GET", "/v1/nodes")[0] == 401
        assert server.request("GET", "/v1/nodes", Authorization="Bearer sesame")[0] == 200
        client = Client(server.url, token_file=token)
        assert client.nodes()
        client.close()


def test_a_unix_socket_is_private_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with running(tmp_path, f"unix://{path}") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert server.request("GET", "/healthz") == (200, b"ok")
        client = Client(server.url)
        assert client.nodes()
        client.close()
        assert "another server listens there" in fails_to_start(tmp_path, f"unix://{path}")
        server.signal(signal.SIGTERM)
        assert ended(server.process) == 0
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with running(tmp_path, f"unix://{path}") as server:
        assert server.request("GET", "/healthz")[0] == 200
    path.write_text("precious")
    assert "is not a socket" in fails_to_start(tmp_path, f"unix://{path}")
    assert path.read_text() == "precious"


# --- the end


def test_sigterm_ends_requests_closes_streams_and_exits_with_0(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.request("POST", "/create", {"pod": pod(run="forever", stop="6")})
        follow = server.send("GET", f"/v1/pods/{UID}/log?follow=true")
        watch = server.send("GET", "/v1/watch")
        for sock in (follow, watch):
            assert b"200 OK" in sock.recv(100)
        slow = server.send("DELETE", f"/v1/pods/{UID}")  # answers once the pod has stopped, or "still stopping"
        time.sleep(2)
        server.signal(signal.SIGTERM)
        answer = slow.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 ")
        assert _rest(follow).endswith(b"0\r\n\r\n"), "the stream ends in order"
        _rest(watch)
        assert ended(server.process) == 0
        log = server.log.read_text()
    assert "ends" in log, "the driver was closed"
    assert "Traceback" not in log


def test_sigint_ends_at_once(server: Server) -> None:
    server.signal(signal.SIGINT)
    assert ended(server.process) == 0


def test_hup_and_its_kin_never_start_a_second_worker(server: Server) -> None:
    server.request("POST", "/create", {"pod": pod(run="forever")})
    before = server.pids()
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2):
        server.signal(number)
        time.sleep(0.2)
    assert server.request("GET", f"/v1/pods/{UID}")[0] == 200, "nothing was forgotten"
    assert server.pids() == before
    assert server.log.read_text().count("begins") == 1


def test_a_killed_worker_is_replaced(server: Server) -> None:
    [_, worker] = server.pids()
    os.kill(worker, signal.SIGKILL)
    wait(lambda: server.log.read_text().count("begins") == 2, "a new worker")
    assert server.request("GET", "/healthz")[0] == 200


def test_the_worker_ends_when_its_master_is_killed(server: Server) -> None:
    [master, worker] = server.pids()
    os.kill(master, signal.SIGKILL)
    server.process.wait()
    wait(lambda: not Path(f"/proc/{worker}/cmdline").exists() or not _alive(worker), "the worker ends")


def _alive(pid: int) -> bool:
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text()


def _rest(sock: socket.socket) -> bytes:
    text = b""
    while piece := sock.recv(1 << 16):
        text += piece
    return text
