"""`interlink serve`, `interlink sidecar` and `interlink server.ready` as a user starts them."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from interlink.client import Client, ContractClient
from interlink.model.driver import LogQuery
from interlink.model.pod import Pod, PodRef, PodRequest
from tests.api.process import DEADLINE, wait

INTERLINK = [sys.executable, "-c", "from interlink.cli import main; main()"]
MOCK = "all: {hosts: {%s}}\n"


@contextlib.contextmanager
def command(tmp_path: Path, *argv: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start the command with a state of its own; stop it in the end."""
    log = tmp_path / f"{argv[0]}-{len(list(tmp_path.iterdir()))}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen([*INTERLINK, *argv], stderr=stderr, cwd=tmp_path)
    try:
        yield process, log
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE)


@contextlib.contextmanager
def served(tmp_path: Path, *argv: str) -> Iterator[str]:
    """Start a serving command and yield its URL, once it answers."""
    with command(tmp_path, *argv) as (process, log):
        found = wait(lambda: process.poll() is None and re.search(r"listens on (\S+)", log.read_text()), "it listens")
        yield found[1]


def inventory(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "inventory.yaml"
    hosts = ", ".join(f"{name}: {{interlink_driver: mock, ansible_connection: local}}" for name in names)
    path.write_text(MOCK % hosts)
    return path


def run(tmp_path: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*INTERLINK, *argv], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)


def request(uid: str, **plan: str) -> PodRequest:
    annotations = {f"mock.interlink.eu/{key}": value for key, value in plan.items()}
    metadata = {"name": "p1", "namespace": "default", "uid": uid, "annotations": annotations}
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]}
    return PodRequest(Pod({"metadata": metadata, "spec": spec}))


def hosts(client: Client) -> dict[str, bool]:
    return {host.name: host.reachable for host in client.hosts()}


def phases(client: Client) -> dict[str, str]:
    return {record.uid: record.status.phase.value for record in client.pods()}


def test_a_changed_inventory_is_taken_over_in_place(tmp_path: Path) -> None:
    path = inventory(tmp_path, "one")
    state = ("--state-dir", str(tmp_path / "state"))
    with (
        served(tmp_path, "serve", "-i", str(path), *state, "--listen", "127.0.0.1:0") as url,
        closing(Client(url)) as c,
    ):
        wait(lambda: hosts(c) == {"one": True}, "the host is reached")
        c.create(request("u1", run="forever"))
        inventory(tmp_path, "one", "two")
        wait(lambda: hosts(c) == {"one": True, "two": True}, "the new host is there", 60)
        path.write_text("all: [nonsense\n")
        inventory_broken = c.pod("u1")
        assert inventory_broken.host == "one"
        ready = run(tmp_path, "server.ready", "--server", url)
        assert (ready.returncode, json.loads(ready.stdout)["ok"]) == (0, True)


def test_pods_survive_the_server(tmp_path: Path) -> None:
    """The ledger is the truth for what was asked; with the mock the pods themselves go with the process."""
    argv = ("serve", "-i", str(inventory(tmp_path, "one")), "--state-dir", str(tmp_path / "s"), "--listen")
    with served(tmp_path, *argv, "127.0.0.1:0") as url, closing(Client(url)) as client:
        client.create(request("u1", run="forever"))
    with served(tmp_path, *argv, f"unix://{tmp_path}/sock") as url, closing(Client(url)) as client:
        assert client.pod("u1").name == "p1"
        assert client.create(request("u1", run="forever")).outcome == "existing"


def test_two_servers_on_one_state_never_drive_one_host(tmp_path: Path) -> None:
    argv = ("serve", "-i", str(inventory(tmp_path, "one")), "--state-dir", str(tmp_path / "s"), "--listen")
    with (
        served(tmp_path, *argv, "127.0.0.1:0") as first,
        served(tmp_path, *argv, "127.0.0.1:0") as second,
        closing(Client(first)) as one,
        closing(Client(second)) as other,
    ):
        wait(
            lambda: sorted([*hosts(one).values(), *hosts(other).values()]) == [False, True], "exactly one has the host"
        )
        driving, waiting = (one, other) if hosts(one)["one"] else (other, one)
        waiting.create(request("u1", run="forever"))
        wait(lambda: phases(driving).get("u1") == "Running", "the one that drives it launches it")


@pytest.mark.parametrize("kind", ["server", "plugin"])
def test_a_sidecar_speaks_both_contracts(tmp_path: Path, kind: Any) -> None:
    uid = "12345678-1234-1234-1234-123456789abc"
    listen = f"unix://{tmp_path}/sidecar.sock"
    argv = ("sidecar", "mock", "-i", "localhost,", "--state-dir", str(tmp_path / "s"), "--listen", listen)
    with served(tmp_path, *argv) as url, closing(ContractClient(url, kind)) as client:
        wait(lambda: client.ping().resources.get("cpu"), "the ping offers something")
        made = request(uid, log="hello\n", run="0.2")
        client.create(made)
        assert made.pod.uid == client.create(made).uid
        ref = PodRef.of(made.pod)
        wait(lambda: client.status([ref])[0].terminal, "the pod ends")
        with closing(client.logs(LogQuery(ref, "main"))) as log:
            assert b"".join(log) == b"hello\n"
        client.delete(ref)
        wait(lambda: client.status([ref]) == [], "the pod is gone")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["serve", "-i", "missing.yaml"], "missing.yaml"),
        (["serve", "-i", "one,", "--listen", "nowhere"], "cannot listen on"),
        (["serve", "-i", "one,", "--listen", "0.0.0.0:0"], "needs authentication"),
        (["serve", "-i", "one,", "--threads", "1"], "--threads"),
        (["serve", "-i", "one,", "--ledger", "nonsense://", "--listen", "127.0.0.1:0"], "ledger"),
        (["sidecar", "podman"], "there are docker, mock, shell"),
        (["server.ready", "--server", "http://127.0.0.1:1"], "cannot be reached"),
    ],
)
def test_mistakes_are_one_line_and_2(tmp_path: Path, argv: list[str], said: str) -> None:
    options = [] if argv[0] == "server.ready" else ["--state-dir", str(tmp_path / "s")]
    done = run(tmp_path, *argv, *options)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    gunicorns = ("interLink server listens on", "[")  # its own lines begin with a time in brackets
    lines = [line for line in done.stderr.splitlines() if not line.startswith(gunicorns)]
    assert len(lines) == 1, done.stderr
    assert done.returncode == (1 if argv[0] == "server.ready" else 2)
