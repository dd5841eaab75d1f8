"""A host of the lab as a test sees it: how to log in, and the inventory's variables for it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.lab import process

TEST_IMAGE = "busybox:1.36"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"


@dataclass(frozen=True)
class Engine:
    """The container engine of a host, for looking at it from outside without SSH."""

    name: str  # docker or podman
    command: tuple[str, ...]  # the argument list that its CLI's arguments are appended to
    env: Mapping[str, str]  # what that command and a local Connection need in their environment
    socket: Path | None = None  # docker's

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float = 240) -> str:
        """Run the engine's CLI and return its output; LabError with its message if it fails."""
        argv = [*self.command, *arguments]
        env = {**process.clean_environment(), **self.env}
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False, env=env, timeout=timeout)
        if done.returncode:
            raise process.LabError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode(errors="replace")

    def containers(self, *filters: str) -> list[str]:
        """The ids of all containers, ended ones too, that match filters such as "label=KEY=VALUE"."""
        return self.run("ps", "-aq", "--no-trunc", *[f"--filter={item}" for item in filters]).split()

    def remove(self, *ids: str) -> None:
        """Remove containers by force, with their volumes."""
        if ids:
            self.run("rm", "-f", "-v", *ids)


@dataclass(frozen=True)
class SshHost:
    """One account on one sshd; `known_hosts` pins the key of the host."""

    name: str
    address: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    extra: Mapping[str, Any] = field(default_factory=dict)
    engine: Engine | None = None

    @property
    def variables(self) -> dict[str, Any]:
        """The host's variables, as they would stand in an inventory."""
        return {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": self.user,
            "ansible_ssh_private_key_file": str(self.key),
            "interlink_known_hosts": str(self.known_hosts),
            **self.extra,
        }

    def having(self, **changes: Any) -> SshHost:
        """The same host with other fields (user, port, ...)."""
        return replace(self, **changes)

    def ssh(self, *command: str) -> list[str]:
        """An argument list for OpenSSH's client, free of the developer's own configuration."""
        options = {
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
        }
        pairs = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        login = ["-i", str(self.key), "-p", str(self.port), f"{self.user}@{self.address}"]
        return ["ssh", "-F", "none", *pairs, *login, *command]

    def run(self, *command: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run a command there by OpenSSH's client, whatever its exit code; sshd joins the words by spaces."""
        return subprocess.run(
            self.ssh(*command), capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL
        )
