"""README's commands, in its order and in its words, from an inventory to a pod's log."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.site import PYTHON, Site
from tests.lab.controlplane import programs
from tests.lab.controlplane.cluster import Cluster
from tests.lab.controlplane.plane import free_ports
from tests.lab.hosts import SshHost

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500), pytest.mark.minutes(15), pytest.mark.xdist_group("deploy")]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(section: str, language: str) -> list[str]:
    """Return the code blocks of a section."""
    [text] = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def lines(section: str) -> Iterator[str]:
    """Yield the commands of a section, without their comments."""
    for block in blocks(section, "bash"):
        for line in block.splitlines():
            if command := re.split(r"\s+#", line)[0].strip():
                yield command


def inventory(docker_host: SshHost, site: Site, root: str) -> dict[str, Any]:
    """Return README's inventory, with the lab's addresses and keys in place of its own."""
    [text] = blocks("An inventory", "yaml")
    found: dict[str, Any] = yaml.safe_load(text)
    groups = found["all"]["children"]
    docker, box = dict(docker_host.variables), dict(site.machine.variables)
    for variables in (docker, box):
        del variables["interlink_known_hosts"]  # pinned by the first command
    groups["lab"]["hosts"] = {"docker01.lab.example.org": {**docker, "interlink_root": root}}
    own = {
        "interlink_server_directory": f"{site.base}-readme",
        "interlink_server_listen": f"127.0.0.1:{free_ports('readme')['readme']}",
        "interlink_server_python": PYTHON,
        "interlink_kubelet_address": "127.0.0.1",
        "interlink_kubelet_port": free_ports("kubelet")["kubelet"],
    }
    groups["interlink_server"]["hosts"] = {"gateway.lab.example.org": {**box, **own}}
    return found


class Shell:
    """A terminal in a directory with README's files, whose user says yes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        path = f"{Path(sys.executable).parent}:{programs.directory()}:{os.environ['PATH']}"
        state = str(directory / "state")  # root's own would be the machine's, with the keys of earlier runs
        home = {"HOME": str(directory), "INTERLINK_STATE": state}
        self.environ = {**os.environ, **home, "PATH": path, "COLUMNS": "200"}

    def __call__(self, command: str) -> tuple[int, str]:
        """Run a command line and return its exit code and what it printed."""
        master, slave = pty.openpty()
        os.write(master, b"y\n" * 8)
        with (self.directory / "printed").open("w+b") as printed:
            done = subprocess.run(
                ["sh", "-c", command],
                stdin=slave,
                stdout=printed,
                stderr=printed,
                cwd=self.directory,
                env=self.environ,
                timeout=600,
                check=False,
            )
            printed.seek(0)
            said = printed.read().decode()
        os.close(slave)
        os.close(master)
        return done.returncode, said


def test_from_an_inventory_to_a_pods_log(
    site: Site, docker_host: SshHost, second_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = second_cluster()
    root = f"/tmp/il-readme-{os.getpid()}"
    written = inventory(docker_host, site, root)
    (tmp_path / "inventory.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / ".kube").mkdir()
    shutil.copy(cluster.kubeconfig, tmp_path / ".kube/config")
    shell = Shell(tmp_path)
    trust, dry, deploy = lines("Deploy")
    apply, logs, run = lines("A first pod")
    [doctor] = lines("When something fails")
    try:
        for command in (trust, dry, deploy):
            code, said = shell(command)
            assert code == 0, f"{command}\n{said}"
        assert "all is well" in said
        code, said = shell(deploy)
        assert said.splitlines()[-1] == "nothing changed; all is well", said

        assert shell(apply)[0] == 0
        path = "/api/v1/namespaces/default/pods/busyecho"
        cluster.wait_for(path, lambda pod: pod["status"]["phase"] == "Succeeded", 300)
        assert shell(logs) == (0, "hello from busyecho, pod busyecho\n")
        cluster.kubectl("delete", "pod", "busyecho", "--timeout=200s")

        code, said = shell(run)
        assert code == 0, said
        code, said = shell(doctor)
        assert code == 0, said
        assert said.splitlines()[-1] == "every link holds"
    finally:
        stopped = [shell(f"interlink {name}.stop -i inventory.yaml") for name in ("kubelet", "server")]
        site.machine.run("rm", "-rf", f"{site.base}-readme", timeout=800)
        docker_host.run("rm", "-rf", root)
        assert [code for code, _ in stopped] == [0, 0], stopped
