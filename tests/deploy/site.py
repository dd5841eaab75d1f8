"""One account of one real sshd as a server's machine and as a host for pods, and an admin's commands for it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.lab import place
from tests.lab.controlplane.plane import free_ports
from tests.lab.hosts import SshHost
from tests.lab.sshd import PLAIN_USER, Sshd

PYTHON = "/usr/bin/python3"
PORT = 2199  # of an address of this test process's own
Done = subprocess.CompletedProcess[str]


@dataclass
class Site:
    """`admin` is the directory of whoever deploys; `base` is the server's on its machine."""

    admin: Path
    machine: SshHost
    base: str
    port: int
    first: list[Done] = field(default_factory=list)  # the dry run and the first run, for tests to look at

    def __call__(self, *arguments: str, package: Path | None = None, **variables: Any) -> Done:
        """Run a command on the inventory; `variables` are more of the server's, `package` another interLink."""
        return self.run(*arguments, "-i", str(self.inventory(**variables)), package=package)

    def run(self, *arguments: str, package: Path | None = None, **environ: str) -> Done:
        """Run a command to its end."""
        with self.start(*arguments, package=package, **environ) as process:
            out, err = process.communicate(timeout=800)
            return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(self, *arguments: str, package: Path | None = None, **more: str) -> subprocess.Popen[str]:
        """Begin a command, as one at a terminal would."""
        environ = {**os.environ, "INTERLINK_STATE": str(self.admin / "state"), **more}
        if package:
            environ["PYTHONPATH"] = str(package)
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("interlink")), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=self.admin,
            env=environ,
        )

    def inventory(self, **variables: Any) -> Path:
        """Write the inventory and return its path."""
        children = {
            "lab": {
                "vars": {
                    "interlink_node": self.node,
                    "interlink_driver": "shell",
                    "interlink_root": f"{self.base}-pods",
                },
                "hosts": {"worker": self.machine.variables},
            },
            "interlink_server": {
                "vars": {
                    "interlink_server_directory": self.base,
                    "interlink_server_listen": f"127.0.0.1:{self.port}",
                    "interlink_server_python": PYTHON,
                    **variables,
                },
                "hosts": {"box": self.machine.variables},
            },
        }
        path = self.admin / "inventory.yaml"
        path.write_text(yaml.safe_dump({"all": {"children": children}}, sort_keys=False))
        return path

    @cached_property
    def server(self) -> list[str]:
        """The options by which a command speaks to the server."""
        token = self.admin / "token"
        token.touch(mode=0o600)
        token.write_text(self.read("config/token"))
        return ["--server", f"http://127.0.0.1:{self.port}", "--token-file", str(token)]

    @property
    def node(self) -> str:
        """The one node of the inventory; clusters are shared with other tests."""
        return f"site-{os.getpid()}"

    def read(self, path: str) -> str:
        return self.machine.run("cat", f"{self.base}/{path}").stdout

    def there(self, path: str) -> bool:
        return self.machine.run("test", "-e", path).returncode == 0

    @property
    def pid(self) -> int:
        return int(self.read("run/interlink-server.pid").split()[0])

    @property
    def release(self) -> str:
        return self.machine.run("readlink", f"{self.base}/current").stdout.strip()


@contextlib.contextmanager
def serving(directory: Path, admin: Path) -> Iterator[Site]:
    """Deploy a server to a machine of its own below `directory`, after a dry run; stop it in the end."""
    # The package index of this machine, should it be asked for something.
    index = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_CERT"))}
    sshd = Sshd(directory / "sshd", address=place.loopback_address(), port=PORT, env=index).start()
    machine = sshd.host("box", PLAIN_USER)
    site = Site(admin, machine, f"/tmp/il-site-{os.getpid()}", free_ports("server")["server"])
    try:
        site.first.append(site("server.deploy", "--dry-run", "--diff"))
        assert not site.there(site.base), "a dry run made it"
        site.first.append(site("server.deploy", "--json"))
        assert site.first[-1].returncode == 0, site.first[-1].stdout + site.first[-1].stderr
        yield site
    finally:
        stopped = site("server.stop")
        machine.run("rm", "-rf", site.base, f"{site.base}-pods", timeout=800)
        sshd.close()
        assert stopped.returncode == 0, stopped.stderr
