"""The lab's network: namespaces joined by one bridge, out of the way of the machine's own firewall and engines.

Every host of the lab is a network namespace of its own with one address, as real hosts are: ports that
containers publish, host networking and engines' firewall rules stay inside (a second dockerd in one
namespace deletes the first one's bridge). The bridge is itself in a namespace, `hub`, so that the
machine's own filter rules never see the lab's traffic; the machine has one leg in it.
"""

from __future__ import annotations

import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

from tests.lab import process

PRIVATE = range(20, 250)  # last bytes of the addresses of namespaces that single tests make


def ip(*arguments: str) -> None:
    """Run iproute2's `ip`; LabError with its message if it fails."""
    done = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, check=False, env=process.clean_environment(), timeout=30
    )
    if done.returncode:
        raise process.LabError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Namespace:
    """A network namespace with one address on the lab's bridge."""

    name: str
    address: str

    @property
    def path(self) -> Path:
        return Path("/run/netns") / self.name

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def inside(self, *argv: str) -> list[str]:
        """An argument list that runs `argv` in here; nsenter, since `ip netns exec` would hide the cgroups."""
        return ["nsenter", f"--net={self.path}", "--", *argv]

    def run(self, *argv: str) -> str:
        """Run a command in here and return what it printed."""
        done = subprocess.run(
            self.inside(*argv), capture_output=True, text=True, check=False, env=process.clean_environment(), timeout=60
        )
        if done.returncode:
            raise process.LabError(f"{' '.join(argv)} in {self.name}: {done.stderr.strip()}")
        return done.stdout

    def drop_packets(self) -> None:
        """Lose every packet from and to the outside, silently, as a firewall or a pulled cable does."""
        self.run("iptables", "-I", "INPUT", "-i", "eth0", "-j", "DROP")
        self.run("iptables", "-I", "OUTPUT", "-o", "eth0", "-j", "DROP")

    def pass_packets(self) -> None:
        """Undo drop_packets()."""
        self.run("iptables", "-D", "INPUT", "-i", "eth0", "-j", "DROP")
        self.run("iptables", "-D", "OUTPUT", "-o", "eth0", "-j", "DROP")

    def empty(self) -> None:
        """Kill every process in here, whoever started it."""
        if self.exists:
            number = self.path.stat().st_ino
            process.end([stat for stat in process.running() if process.network(stat) == number], f"all in {self.name}")

    def delete(self) -> None:
        """Remove the namespace; processes in it must have ended."""
        if self.exists:
            ip("netns", "delete", self.name)


class Network:
    """The hub and all namespaces of one lab directory; two labs on a machine do not meet."""

    def __init__(self, directory: Path) -> None:
        number = zlib.crc32(str(directory).encode()) & 0xFF
        self.prefix = f"il{number:02x}"
        self._subnet = f"10.213.{number}"
        self.hub = self.namespace("hub", 2)

    @property
    def cidr(self) -> str:
        return f"{self._subnet}.0/24"

    @property
    def up(self) -> bool:
        return self.hub.exists and Path("/sys/class/net", self.prefix).exists()

    def namespace(self, name: str, number: int) -> Namespace:
        return Namespace(f"{self.prefix}-{name}", f"{self._subnet}.{number}")

    def start(self) -> None:
        """Make the hub with its bridge and the machine's own leg (address .1)."""
        if self.up:
            return
        self.stop()
        hub = self.hub.name
        ip("netns", "add", hub)
        ip("-n", hub, "link", "set", "lo", "up")
        # Without an address of its own a bridge has the lowest of its members', and another one when that leaves: its
        # neighbours go on sending to the old one for half a minute.
        ip("-n", hub, "link", "add", "br0", "address", _hardware(self.hub), "type", "bridge")
        ip("-n", hub, "addr", "add", f"{self.hub.address}/24", "dev", "br0")
        ip("-n", hub, "link", "set", "br0", "up")
        ip("link", "add", self.prefix, "type", "veth", "peer", "name", "machine", "netns", hub)
        ip("-n", hub, "link", "set", "machine", "master", "br0", "up")
        ip("addr", "add", f"{self._subnet}.1/24", "dev", self.prefix)
        ip("link", "set", self.prefix, "up")

    def ensure(self, namespace: Namespace) -> None:
        """Make a namespace of the shared lab unless it is there."""
        if not namespace.exists:
            self._join(namespace)

    def claim(self) -> Namespace:
        """Make a namespace for one test; its name is the claim on its address, so that processes need no lock."""
        for number in PRIVATE:
            namespace = self.namespace(f"t{number}", number)
            try:
                self._join(namespace)
            except process.LabError:
                if namespace.exists:
                    continue
                raise
            return namespace
        raise process.LabError("all private namespaces are taken: inv lab.down removes strays")

    def _join(self, namespace: Namespace) -> None:
        ip("netns", "add", namespace.name)
        number, hardware = namespace.address.rpartition(".")[2], _hardware(namespace)
        peer = ("peer", "name", f"host{number}", "netns", self.hub.name)
        ip("link", "add", "eth0", "address", hardware, "netns", namespace.name, "type", "veth", *peer)
        ip("-n", self.hub.name, "link", "set", f"host{number}", "master", "br0", "up")
        ip("-n", namespace.name, "addr", "add", f"{namespace.address}/24", "dev", "eth0")
        ip("-n", namespace.name, "link", "set", "lo", "up")
        ip("-n", namespace.name, "link", "set", "eth0", "up")

    def stop(self) -> None:
        """Remove every namespace of this lab; processes in them must have ended."""
        names = [entry.name for entry in Path("/run/netns").glob(f"{self.prefix}-*")]
        for name in names:
            ip("netns", "delete", name)
        if Path("/sys/class/net", self.prefix).exists():
            ip("link", "delete", self.prefix)


def _hardware(namespace: Namespace) -> str:
    """Return an address that is ever the same, for neighbours remember it."""
    return f"02:00:00:00:00:{int(namespace.address.rpartition('.')[2]):02x}"


def others() -> bool:
    """True while any lab of the machine is up; ask after stopping one's own."""
    return bool(list(Path("/run/netns").glob("il??-hub")))
