"""The server deployed over real SSH to an account of its own: installed, started, repeated, upgraded, rolled back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import Run
from tests.deploy.test_deploy_hosts import step, told
from tests.lab.hosts import SshHost
from tests.lab.sshd import PLAIN_USER, Sshd

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

PYTHON = "/usr/bin/python3"


@dataclass
class Site:
    """A server's machine, and one host for pods: the same account of one sshd."""

    run: Run
    machine: SshHost
    base: str
    port: int
    extra: dict[str, Any]

    def __call__(self, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        children = {
            "lab": {
                "vars": {"interlink_node": "lab", "interlink_driver": "shell", "interlink_root": f"{self.base}-pods"},
                "hosts": {"worker": self.machine.variables},
            },
            "interlink_server": {
                "vars": {
                    "interlink_server_directory": self.base,
                    "interlink_server_listen": f"127.0.0.1:{self.port}",
                    "interlink_server_python": PYTHON,
                    **self.extra,
                    **variables,
                },
                "hosts": {"box": self.machine.variables},
            },
        }
        return self.run(*arguments, children=children, timeout=1200)

    def read(self, path: str) -> str:
        return self.machine.run("cat", f"{self.base}/{path}").stdout

    @property
    def pid(self) -> int:
        return int(self.read("run/interlink-server.pid").split()[0] or 0)


@pytest.fixture
def site(interlink: Run, sshd_factory: Callable[..., Sshd], tmp_path: Path) -> Iterator[Site]:
    pip = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_CERT"))}
    machine = sshd_factory(env=pip).host("box", PLAIN_USER)
    base = f"/tmp/il-site-{os.getpid()}"
    site = Site(interlink, machine, base, 20000 + os.getpid() % 10000, {})
    yield site
    site("server.stop")
    machine.run("rm", "-rf", base, f"{base}-pods")


def test_a_server_is_deployed_repeated_broken_repaired_and_rolled_back(site: Site, tmp_path: Path) -> None:
    dry = site("server.deploy", "--dry-run")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert site.machine.run("test", "-e", site.base).returncode == 1, "a dry run made it"

    first = site("server.deploy", "--json")
    assert first.returncode == 0, first.stdout + first.stderr
    box = told(first)["box"]
    assert "a pid file" in step(box, "machine")["note"], "said aloud where there is no systemd"
    assert box["failed"] == 0
    pid = site.pid
    modes = site.machine.run("find", f"{site.base}/config", "-type", "f", "-not", "-perm", "600").stdout
    assert modes == "", "configuration and secrets are 0600"
    assert "PRIVATE KEY" not in first.stdout + first.stderr

    second = site("server.deploy")
    assert second.returncode == 0, second.stdout
    assert second.stdout.splitlines()[-1] == "nothing changed; all is well"
    assert site.pid == pid, "the same process"

    token = tmp_path / "token"
    token.write_text(site.read("config/token"))
    token.chmod(0o600)
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(POD)
    server = ["--server", f"http://127.0.0.1:{site.port}", "--token-file", str(token)]
    assert site.run("run", str(manifest), *server, "--detach").returncode == 0
    refused = site.run("pods.list", "--server", server[1])
    assert refused.returncode != 0, "nobody without the token"

    # A crash, and a wrong configuration by somebody's hand: the next run repairs both.
    site.machine.run("kill", "-9", str(pid))
    site.machine.run("chmod", "644", f"{site.base}/config/interlink.yaml")
    repaired = site("server.deploy", "--json")
    box = told(repaired)["box"]
    assert repaired.returncode == 0, repaired.stdout
    assert {step(box, "files")["state"], step(box, "running")["state"]} == {"changed"}
    assert site.pid != pid

    # Settings that cannot work: what ran before runs again, and the failure is told.
    occupied = site("server.deploy", interlink_server_listen="192.0.2.1:1")
    assert occupied.returncode == 1
    assert "cannot listen" in occupied.stdout, occupied.stdout
    assert site.run("pods.list", *server).returncode == 0, "what ran before answers again"
    again = site("server.deploy")
    assert again.returncode == 0, again.stdout

    status = site("server.status", "--json")
    assert status.returncode == 0, status.stdout + status.stderr
    assert json.loads(status.stdout)["ready"] is True
    assert "no earlier release" in site("server.rollback").stderr
    pods = site.run("pods.list", "--json", *server)
    [pod] = json.loads(pods.stdout)["pods"]
    assert pod["name"] == "patient", "it went on through everything"
    assert pod["containers"][0]["restartCount"] == 0
    assert site.run("pods.delete", "patient", *server).returncode == 0
    assert site("server.stop").returncode == 0
    assert site("server.status").returncode == 1
    assert site("server.start").returncode == 0


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: patient}
spec:
  restartPolicy: Never
  containers:
    - {name: main, image: busybox, command: [sh, -c, "trap 'exit 0' TERM; echo begun; sleep 3600 & wait"]}
"""
