"""A namespace that is a computer of its own for what runs in it: hostname, /etc/hosts and /home too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.network import Namespace

OWN = ("unshare", "--uts", "--mount", "--propagation", "slave", "--")
ENTER = 'hostname "$1" && mount --bind "$2/hosts" /etc/hosts && mount --bind "$2/home" /home && shift 2 && exec "$@"'


def hosts_file(addresses: Mapping[str, str]) -> str:
    """Return an /etc/hosts that knows every computer of a cluster."""
    return "".join(f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **addresses}.items())


@dataclass(frozen=True)
class Computer(Namespace):
    """A namespace with its own name for hostname, and with /etc/hosts and /home that all of its cluster share."""

    cluster: Path

    def inside(self, *argv: str) -> list[str]:
        """An argument list that runs `argv` in here."""
        return super().inside(*OWN, "sh", "-c", self.enter, "sh", self.name, str(self.cluster), *argv)

    @property
    def enter(self) -> str:
        """The shell script that prepares the namespaces of a program and becomes it."""
        return ENTER
