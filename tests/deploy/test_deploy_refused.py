"""Machines and inventories that a server cannot be deployed with: each is told with its cure, and nothing is left."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import Run
from tests.lab.hosts import SshHost
from tests.lab.sshd import PLAIN_USER, Sshd

pytestmark = pytest.mark.lab


@pytest.fixture
def machine(sshd_factory: Callable[..., Sshd]) -> SshHost:
    return sshd_factory().host("box", PLAIN_USER)


@pytest.fixture
def small(tmp_path: Path, private_directory: Path) -> Iterator[Path]:
    """A directory on a file system of one megabyte."""
    directory = private_directory / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "interlink-test", str(directory)]
    subprocess.run(mount, check=True, timeout=60)
    yield directory
    subprocess.run(["umount", str(directory)], check=True, timeout=60)


def test_each_obstacle_comes_with_its_cure_and_leaves_nothing(interlink: Run, machine: SshHost, small: Path) -> None:
    base = f"/tmp/il-refused-{os.getpid()}"
    cases: dict[str, dict[str, Any]] = {
        "no-python": {"interlink_server_python": "python9.9"},
        "no-permission": {"interlink_server_directory": "/usr/interlink"},
        "no-space": {"interlink_server_directory": f"{small}/interlink"},
        "no-systemd": {"interlink_server_manager": "system"},
        "no-login": {"ansible_user": "nobody-here"},
    }
    hosts = {
        name: {**machine.variables, "interlink_server_directory": f"{base}-{name}", **variables}
        for name, variables in cases.items()
    }
    done = interlink("server.deploy", children={"interlink_server": {"hosts": hosts}})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    told = {name: next(line for line in lines if line.startswith(f"{name}: ")) for name in cases}
    assert "there is no python9.9: install Python 3.10 or newer" in told["no-python"]
    assert "Permission denied; log in as a user who may write there" in told["no-permission"]
    assert "MiB are free" in told["no-space"]
    assert "set interlink_server_directory" in told["no-space"]
    assert "needs root, and systemd as process 1" in told["no-systemd"]
    assert "check ansible_user" in told["no-login"]
    left = machine.run("ls", "-d", f"{base}-*", "/usr/interlink", f"{small}/interlink").stdout
    assert left == "", "nothing is left"


def test_a_wrong_inventory_is_told_by_its_line(interlink: Run) -> None:
    children = {"interlink_server": {"hosts": {"box": {"interlink_server_listn": "127.0.0.1:3000"}}}}
    done = interlink("server.deploy", children=children)
    assert done.returncode == 2
    assert "inventory.yaml:7" in done.stderr, done.stderr
    assert "interlink_server_listen" in done.stderr, "the nearest key that there is"
    empty = interlink("server.deploy", "--limit", "other", hosts={"box": {}})
    assert empty.returncode == 2
    assert "other" in empty.stderr
