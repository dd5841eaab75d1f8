"""hosts.list, hosts.ping, hosts.facts, hosts.trust as a user calls them, against the lab's real sshd and engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlink.model.host import Host
from interlink.remote import facts
from interlink.remote.pool import Pool
from tests.lab.hosts import SshHost
from tests.lab.sshd import PLAIN_USER, Sshd

pytestmark = pytest.mark.lab

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def interlink(tmp_path: Path) -> Run:
    """Run the installed command with a state directory of its own."""

    def run(*arguments: str, hosts: dict[str, dict[str, Any]] | None = None) -> subprocess.CompletedProcess[str]:
        if hosts is not None:
            (tmp_path / "inventory.yaml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}, sort_keys=False))
            arguments = (*arguments, "-i", str(tmp_path / "inventory.yaml"))
        return subprocess.run(
            [str(Path(sys.executable).with_name("interlink")), *arguments],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
            env={**os.environ, "INTERLINK_STATE": str(tmp_path / "state")},
        )

    return run


def test_facts_over_ssh_in_one_round_trip(docker_host: SshHost, tmp_path: Path) -> None:
    host = Host("docker1", vars={**docker_host.variables, "interlink_driver": "docker"})
    with Pool(tmp_path / "known_hosts") as pool:
        found = facts.gather(host, pool.connection(host))
    assert docker_host.engine
    assert found.engine == "docker"
    assert found.engine_version == docker_host.engine.run("version", "--format", "{{.Server.Version}}").strip()
    assert found.cpus == int(docker_host.run("nproc").stdout)
    assert found.memory == int(docker_host.run("awk", "'/^MemTotal/{print $2}'", "/proc/meminfo").stdout) * 1024
    assert found.raw["hostname"] == docker_host.run("hostname").stdout.strip()
    assert found.raw["uid"] == int(docker_host.run("id", "-u").stdout)
    assert found.raw["disk"]["free"] < found.raw["disk"]["total"]
    assert {"tar", "setsid", "flock"} <= set(found.raw["tools"])
    assert found.address


def test_one_bad_host_never_hides_the_others(interlink: Run, docker_host: SshHost, podman_host: SshHost) -> None:
    podman = {**podman_host.variables, "interlink_driver": "docker", "interlink_engine": "podman"}
    hosts = {
        "good": {**docker_host.variables, "interlink_driver": "docker"},
        "silent": {"ansible_host": "127.0.0.1", "ansible_port": 1},
        "pod": podman,
    }
    done = interlink("hosts.facts", "--json", hosts=hosts)
    rows = {row["name"]: row for row in json.loads(done.stdout)["hosts"]}
    assert list(rows) == list(hosts)
    assert (rows["good"]["engine"], rows["pod"]["engine"]) == ("docker", "podman")
    assert set(rows["silent"]) == {"name", "error"}
    assert "cannot connect" in done.stderr
    assert "check ansible_host" in done.stderr
    assert done.returncode == 1
    table = interlink("hosts.ping", hosts=hosts)
    assert [line.split()[:2] for line in table.stdout.splitlines()[1:]] == [
        ["good", "ok"],
        ["silent", "failed"],
        ["pod", "ok"],
    ]
    assert table.returncode == 1
    assert interlink("hosts.ping", "--limit", "!silent", hosts=hosts).returncode == 0


def test_an_engine_that_refuses_us_is_named_with_the_cure(interlink: Run, plain_host: SshHost) -> None:
    done = interlink("hosts.facts", hosts={"plain": {**plain_host.variables, "interlink_driver": "docker"}})
    assert done.returncode == 1
    assert "host plain: docker does not work: " in done.stderr
    assert "add the user to the group docker" in done.stderr
    either = {**plain_host.variables, "interlink_driver": "auto"}
    assert interlink("hosts.facts", hosts={"plain": either}).returncode == 0


def test_a_key_is_trusted_once_and_a_changed_one_only_by_replace(
    interlink: Run, sshd_factory: Callable[..., Sshd]
) -> None:
    server = sshd_factory()
    variables = server.host("new", PLAIN_USER).variables
    del variables["interlink_known_hosts"]
    hosts = {"new": variables}
    refused = interlink("hosts.ping", hosts=hosts)
    assert refused.returncode == 1
    assert "interlink hosts.trust" in refused.stderr
    asked = interlink("hosts.trust", "new", hosts=hosts)
    assert asked.returncode == 1
    assert "SHA256:" in asked.stderr
    assert "--yes" in asked.stderr
    assert interlink("hosts.trust", "new", "--yes", hosts=hosts).stdout.startswith("new: trusted: ")
    assert interlink("hosts.ping", hosts=hosts).returncode == 0
    assert interlink("hosts.trust", "new", "--yes", hosts=hosts).stdout.startswith("new: known already: ")

    server.kill()
    server.new_host_key()
    server.start()
    for arguments in (["hosts.ping"], ["hosts.trust", "new", "--yes"]):
        changed = interlink(*arguments, hosts=hosts)
        assert changed.returncode == 1
        assert "HAS CHANGED" in changed.stderr
    assert interlink("hosts.trust", "new", "--yes", "--replace", hosts=hosts).stdout.startswith("new: trusted: ")
    assert interlink("hosts.ping", hosts=hosts).returncode == 0


def test_the_end_of_a_certificate_is_a_fact(interlink: Run, sshd_factory: Callable[..., Sshd], tmp_path: Path) -> None:
    server = sshd_factory()
    host = server.host("short", PLAIN_USER)
    server.authorized_keys.write_text(f"cert-authority {server.key.with_suffix('.pub').read_text()}")
    key = tmp_path / "id"
    run = partial(subprocess.run, check=True, capture_output=True, timeout=60)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    span = ["-V", "20200101000000Z:20991231000000Z"]
    run(["ssh-keygen", "-q", "-s", str(host.key), "-I", "me", "-n", PLAIN_USER, *span, f"{key}.pub"])
    variables = {**host.variables, "ansible_ssh_private_key_file": str(key)}
    done = interlink("hosts.facts", "--json", hosts={"short": variables})
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)["hosts"]
    assert row["raw"]["certificate_expires"] == "2099-12-31T00:00:00+00:00"
    assert "2099-12-31 00:00 UTC" in interlink("hosts.facts", hosts={"short": variables}).stdout
