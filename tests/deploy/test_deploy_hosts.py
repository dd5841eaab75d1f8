"""`interlink hosts.prepare` against real hosts: what it finds, what it mends, that a second run changes nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.conftest import Run
from tests.lab.hosts import SshHost
from tests.lab.sshd import DOCKER_USER, PLAIN_USER, Sshd

pytestmark = pytest.mark.lab


def told(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """Return the targets of a recap in JSON by name."""
    return {row["name"]: row for row in json.loads(done.stdout)["targets"]}


def step(row: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [each for each in row["steps"] if each["name"] == name]
    return found


def remove(host: SshHost, directory: str) -> None:
    assert host.run("rm", "-rf", directory).returncode == 0


def test_a_second_run_changes_nothing_and_a_bad_host_stops_nobody(interlink: Run, docker_host: SshHost) -> None:
    directory = f"/tmp/il-prepare-{docker_host.run('echo', '$$').stdout.strip()}"
    good = {**docker_host.variables, "interlink_root": f"{directory}/root"}
    hosts = {"good": good, "silent": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
    try:
        dry = interlink("hosts.prepare", "--dry-run", "--json", hosts=hosts)
        assert step(told(dry)["good"], "directory")["state"] == "changed"
        assert step(told(dry)["good"], "smoke pod")["state"] == "skipped"
        assert docker_host.run("test", "-e", directory).returncode == 1, "a dry run made it"

        first = interlink("hosts.prepare", "--json", hosts=hosts)
        rows = told(first)
        assert first.returncode == 1, "one host is unreachable"
        assert (rows["good"]["failed"], rows["good"]["changed"]) == (0, 1), rows["good"]
        assert rows["silent"]["unreachable"] == 1
        assert "check ansible_host" in rows["silent"]["steps"][-1]["note"]
        assert "ran, with its log" in step(rows["good"], "smoke pod")["note"]
        assert docker_host.run("stat", "-c", "%a", f"{directory}/root").stdout.strip() == "700"

        second = interlink("hosts.prepare", "--limit", "good", hosts=hosts)
        assert second.returncode == 0, second.stdout
        assert second.stdout.splitlines()[-1] == "nothing changed; all is well"
        assert docker_host.engine
        assert not docker_host.engine.containers("label=interlink.eu/server=deploy"), "the smoke pod is gone"
    finally:
        remove(docker_host, directory)


def test_unknown_keys_are_refused_with_fingerprint_and_pinned_on_request(
    interlink: Run, sshd_factory: Callable[..., Sshd]
) -> None:
    server = sshd_factory()
    variables = server.host("new", PLAIN_USER, interlink_driver="shell").variables
    del variables["interlink_known_hosts"]
    hosts = {"new": variables}
    refused = interlink("hosts.prepare", "--skip-smoke", hosts=hosts)
    assert refused.returncode == 1
    assert "interlink hosts.trust new" in refused.stdout
    assert "SHA256:" in refused.stdout
    pinned = interlink("hosts.prepare", "--skip-smoke", "--trust", "--json", hosts=hosts)
    assert step(told(pinned)["new"], "host key")["state"] == "changed"
    assert pinned.returncode == 0, pinned.stdout
    server.kill()
    server.new_host_key()
    server.start()
    changed = interlink("hosts.prepare", "--skip-smoke", "--trust", hosts=hosts)
    assert changed.returncode == 1, "--trust is for unknown keys alone"
    assert "HAS CHANGED" in changed.stdout


def test_each_obstacle_comes_with_its_cure(interlink: Run, docker_host: SshHost, plain_host: SshHost) -> None:
    hosts = {
        "no-engine": plain_host.variables,
        "no-login": {**docker_host.variables, "ansible_user": "nobody-here"},
        "no-place": {**docker_host.variables, "interlink_root": "/usr/interlink"},
        "no-image": {**docker_host.variables, "interlink_pause_image": "127.0.0.1:9/pause:0"},
        "no-slurm": {**plain_host.variables, "interlink_driver": "slurm"},
        "no-runtime": {
            **plain_host.variables,
            "interlink_driver": "shell",
            "interlink_runtime": "singularity",
        },
    }
    done = interlink("hosts.prepare", "--skip-smoke", "--json", hosts=hosts)
    notes = {name: row["steps"][-1]["note"] for name, row in told(done).items()}
    assert "add the user to the group docker" in notes["no-engine"]
    assert "check ansible_user" in notes["no-login"]
    assert "cannot be pulled" in notes["no-image"]
    assert "interlink_pause_image" in notes["no-image"]
    assert "Permission denied; log in as a user who may write there" in notes["no-place"]
    assert "login node" in notes["no-slurm"], "whether Slurm's programs are on the machine or not"
    assert "apt-get install singularity" in notes["no-runtime"]
    assert done.returncode == 1


def test_a_directory_that_is_open_to_others_is_closed(interlink: Run, docker_host: SshHost) -> None:
    directory = f"/tmp/il-open-{docker_host.run('echo', '$$').stdout.strip()}"
    assert docker_host.run("mkdir", "-m", "755", directory).returncode == 0
    try:
        hosts = {"host": {**docker_host.having(user=DOCKER_USER).variables, "interlink_root": directory}}
        done = interlink("hosts.prepare", "--skip-smoke", "--diff", hosts=hosts)
        assert f"changed: host: directory: {directory}" in done.stdout
        assert "-open" in done.stdout
        assert docker_host.run("stat", "-c", "%a", directory).stdout.strip() == "700"
    finally:
        remove(docker_host, directory)
