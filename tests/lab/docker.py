"""Real docker daemons, each with a containerd and a network namespace of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab import images, leftovers, process
from tests.lab.hosts import Engine
from tests.lab.network import Namespace

CONTAINERD = """version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{0}/c.sock"
[ttrpc]
address = "{0}/c.sock.ttrpc"
"""


class Dockerd:
    """dockerd and its containerd; `mirror` (host:port) is where it finds the images of Docker Hub.

    A containerd of dockerd's own would survive dockerd's death and block its next start for 14 seconds.
    """

    def __init__(self, directory: Path, namespace: Namespace, mirror: str, options: Sequence[str] = ()) -> None:
        self.directory = directory
        self.namespace = namespace
        self.options = tuple(options)
        self._mirror = mirror
        self._containerd = process.Daemon("containerd", directory)
        self._dockerd = process.Daemon("dockerd", directory)

    @property
    def socket(self) -> Path:
        return self.directory / "docker.sock"

    @property
    def env(self) -> dict[str, str]:
        """What makes a docker client use this daemon, and nobody's credentials."""
        return {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": f"{self.directory}/config"}

    @property
    def ssh_env(self) -> dict[str, str]:
        """The same for the sessions of an sshd; their credentials are those of the account's home."""
        return {"DOCKER_HOST": self.env["DOCKER_HOST"]}

    @property
    def engine(self) -> Engine:
        return Engine("docker", ("docker",), self.env, self.socket)

    @property
    def alive(self) -> bool:
        return self._containerd.alive and self._dockerd.alive

    def start(self, content: Sequence[images.Image] = ()) -> None:
        """Start what does not run, and load `content` into a new one."""
        new = not (self.directory / "data").exists()
        if not self._containerd.alive:
            self._start_containerd()
        if not self._dockerd.alive:
            self._start_dockerd()
        if new and content:
            self.engine.run("load", stdin=images.archive([image for image in content if image.loaded]))

    def _start_containerd(self) -> None:
        base = self.directory / "c"
        base.mkdir(parents=True, exist_ok=True)
        config = self.directory / "containerd.toml"
        config.write_text(CONTAINERD.format(base))
        (base / "c.sock").unlink(missing_ok=True)
        self._containerd.start([process.find("containerd"), "-c", str(config)])
        self._containerd.wait_ready((base / "c.sock").exists)

    def _start_dockerd(self) -> None:
        pid_file = self.directory / "docker.pid"
        pid_file.unlink(missing_ok=True)  # after SIGKILL it may name somebody else's process
        argv = [
            process.find("dockerd"),
            f"--host=unix://{self.socket}",
            "--group=docker",
            f"--containerd={self.directory}/c/c.sock",
            f"--data-root={self.directory}/data",
            f"--exec-root={self.directory}/exec",
            f"--pidfile={pid_file}",
            f"--registry-mirror=http://{self._mirror}",
            f"--insecure-registry={self.namespace.address.rpartition('.')[0]}.0/24",
            f"--config-file={self._settings()}",
            "--shutdown-timeout=3",
            *self.options,
        ]
        self._dockerd.start(self.namespace.inside(*argv))
        self._dockerd.wait_ready(self._answers)

    def _settings(self) -> Path:
        path = self.directory / "daemon.json"
        path.write_text("{}\n")  # instead of the machine's /etc/docker/daemon.json
        return path

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            self.engine.run("version", timeout=30)
        except (process.LabError, subprocess.TimeoutExpired):
            return False
        return True

    def pause(self) -> None:
        """Freeze dockerd (SIGSTOP): its clients hang; containers go on."""
        self._dockerd.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo pause()."""
        self._dockerd.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL dockerd; with the option --live-restore its containers go on. start() brings it back."""
        self._dockerd.kill()

    def stop(self) -> None:
        """End dockerd in good order; without --live-restore it stops its containers."""
        self._dockerd.stop()

    def close(self) -> None:
        """End everything and delete all its files, whatever state it is in."""
        if self.alive:
            self.resume()
            with contextlib.suppress(process.LabError, subprocess.TimeoutExpired):  # what is left is killed below
                self.engine.remove(*self.engine.containers())
        self._dockerd.stop()
        self._containerd.stop()
        leftovers.sweep(self.directory)
