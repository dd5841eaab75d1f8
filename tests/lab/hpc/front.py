"""The daemon of mirror.py in the network's hub, beside the registries."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab import process
from tests.lab.controlplane.pki import Pki
from tests.lab.registry import Registry

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Front:
    """DNS and TLS for every registry name; `registry.lab` is the open one, `private.lab` the one with a password."""

    directory: Path
    registry: Registry
    private: Registry

    @property
    def address(self) -> str:
        return self.registry.namespace.address

    @property
    def authority(self) -> Path:
        """The certificate that its clients have to trust."""
        return Pki(self.directory / "pki").ca.certificate

    @property
    def _daemon(self) -> process.Daemon:
        return process.Daemon("mirror", self.directory)

    @property
    def alive(self) -> bool:
        return self._daemon.alive

    def start(self) -> None:
        """Start it; does nothing if it runs."""
        if self.alive:
            return
        pki = Pki(self.directory / "pki")
        if not self.authority.exists():
            pki.make()
        ports = (str(self.registry.port), str(self.private.port))
        argv = [sys.executable, "-m", "tests.lab.hpc.mirror", self.address, str(pki.directory), *ports]
        self._daemon.start(self.registry.namespace.inside(*argv), env={"PYTHONPATH": str(ROOT)})
        self._daemon.wait_ready(self._answers)

    def stop(self) -> None:
        self._daemon.stop()

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.authority))
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.address, 443), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="registry.lab") as client,
        ):
            return client.version() is not None
        return False
