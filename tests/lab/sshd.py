"""Real OpenSSH servers, each with a host key, a client key and a configuration of its own."""

from __future__ import annotations

import contextlib
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab import process
from tests.lab.hosts import Engine, SshHost
from tests.lab.network import Namespace

DOCKER_USER = "labdock"  # in the group docker
PLAIN_USER = "labuser"  # may not talk to docker

DEFAULTS: Mapping[str, str] = {
    "StrictModes": "no",  # key files below /tmp are refused otherwise
    "UsePAM": "no",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "PermitRootLogin": "prohibit-password",
    "UseDNS": "no",
    "PrintMotd": "no",
    "MaxStartups": "200:30:400",
    "MaxSessions": "100",
    "PidFile": "none",
    "LogLevel": "VERBOSE",
    "Subsystem": "sftp internal-sftp",
}


def add_users() -> None:
    """Make the lab's accounts; they have no password, and a key only at the lab's own servers."""
    for user, groups in ((DOCKER_USER, ["-G", "docker"]), (PLAIN_USER, [])):
        try:
            pwd.getpwnam(user)
        except KeyError:
            _run("useradd", "-m", "-s", "/bin/bash", *groups, user)
            _run("usermod", "-p", "*", user)  # useradd's "!" means locked, and sshd refuses it without PAM


def clean_homes() -> None:
    """Delete what tests have left in the accounts' homes."""
    for user in (DOCKER_USER, PLAIN_USER):
        with contextlib.suppress(KeyError, FileNotFoundError):
            shutil.rmtree(Path(pwd.getpwnam(user).pw_dir) / ".interlink")


def make_key(path: Path, comment: str = "lab") -> Path:
    """An ed25519 pair without a passphrase: `path` and `path`.pub; kept if it is there already."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    return path


def _run(*argv: str) -> None:
    argv = (process.find(argv[0]), *argv[1:])
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=240)
    if done.returncode:
        raise process.LabError(f"{' '.join(argv)}: {done.stderr.strip()}")


class Sshd:
    """One sshd on one address; `options` are sshd_config keywords that replace or add to the defaults.

    A host of its own as far as processes go: orphans of its sessions stay below it (`commands`).
    `env` is what sessions find in their environment (SetEnv). With a namespace the server runs inside it.
    `options` may be changed while it is stopped. The port is the server's for its whole life, so a test
    can stop or kill it and start it again under the same name.
    """

    def __init__(
        self,
        directory: Path,
        *,
        address: str = "127.0.0.1",
        port: int = 22,
        namespace: Namespace | None = None,
        options: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.namespace = namespace
        self.address = namespace.address if namespace else address
        self.port = port
        self.options = dict(options or {})
        self.env = dict(env or {})
        self._daemon = process.Daemon("sshd", directory)  # its init, to be exact
        self._orphans: list[process.Stat] = []

    @property
    def alive(self) -> bool:
        return self._daemon.alive

    @property
    def key(self) -> Path:
        """The client's private key."""
        return self.directory / "id"

    @property
    def host_key(self) -> Path:
        return self.directory / "host"

    @property
    def authorized_keys(self) -> Path:
        return self.directory / "authorized_keys"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def known_hosts_line(self) -> str:
        """The line that pins this server's present key."""
        kind, key = self.host_key.with_suffix(".pub").read_text().split()[:2]
        name = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
        return f"{name} {kind} {key}\n"

    @property
    def log(self) -> str:
        """Everything that it has logged (level VERBOSE)."""
        return self._daemon.log.read_text(errors="replace")

    def host(self, name: str, user: str, engine: Engine | None = None, **extra: Any) -> SshHost:
        """An account here, as a host of an inventory."""
        return SshHost(name, self.address, self.port, user, self.key, self.known_hosts, extra, engine)

    def start(self) -> Sshd:
        """Start it and return when it answers; does nothing if it runs."""
        if self.alive:
            return self
        self.directory.mkdir(parents=True, exist_ok=True)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        make_key(self.host_key)
        make_key(self.key)
        if not self.authorized_keys.exists():
            shutil.copy(self.key.with_suffix(".pub"), self.authorized_keys)
        if not self.known_hosts.exists():
            self.known_hosts.write_text(self.known_hosts_line)
        config = self.directory / "sshd_config"
        config.write_text(self._config())
        # A host has an init that reaps orphans; where PID 1 does not, podman waits 20 s for its dead conmon.
        argv = [process.find("tini"), "-s", "--", process.find("sshd"), "-D", "-e", "-f", str(config)]
        self._daemon.start(self.namespace.inside(*argv) if self.namespace else argv)
        self._daemon.wait_ready(self._answers)
        return self

    def _config(self) -> str:
        own = {
            "ListenAddress": f"{self.address}:{self.port}",
            "HostKey": str(self.host_key),
            "AuthorizedKeysFile": str(self.authorized_keys),
        }
        if self.env:
            own["SetEnv"] = " ".join(
                f'"{key}={value}"' for key, value in self.env.items()
            )  # only the first line counts
        merged = {**DEFAULTS, **own, **self.options}
        return "".join(f"{key} {value}\n" for key, value in merged.items())

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), timeout=5) as client:
                return client.recv(4) == b"SSH-"
        except OSError:
            return False

    def new_host_key(self) -> None:
        """Another key, as after a new installation or for an impostor; for the next start."""
        for path in (self.host_key, self.host_key.with_suffix(".pub")):
            path.unlink()
        make_key(self.host_key)

    def _below(self) -> list[process.Stat]:
        """Every process of this host that came in by SSH, the listener first, and what a killed server left."""
        init = self._daemon.stat()
        below = process.descendants(init.pid) if init else []
        return below + [stat for stat in self._orphans if not process.gone([stat])]

    def _listener(self) -> list[process.Stat]:
        init = self._daemon.stat()
        return [stat for stat in self._below() if init and stat.parent == init.pid and stat.comm == "sshd"][:1]

    def connections(self) -> list[process.Stat]:
        """The server's processes for its present connections: two each once logged in."""
        listener = self._listener()
        return [stat for stat in self._below() if stat.comm.startswith("sshd") and stat not in listener]

    def commands(self) -> list[process.Stat]:
        """Every other process that came in by SSH and still lives, be it orphaned or in a session of its own."""
        return [stat for stat in self._below() if not stat.comm.startswith("sshd")]

    def pause_listener(self) -> None:
        """Freeze (SIGSTOP) what accepts: new connections hang before the banner, present ones go on."""
        process.send(self._listener(), signal.SIGSTOP)

    def pause_connections(self) -> None:
        """Freeze the present connections; new ones are served.

        A process that is not frozen yet may fork another one: they are listed until there is none to freeze.
        """
        frozen: set[int] = set()
        while moving := [stat for stat in self.connections() if stat.pid not in frozen]:
            process.send(moving, signal.SIGSTOP)
            frozen |= {stat.pid for stat in moving}

    def pause(self) -> None:
        """Freeze all of it, as a host that hangs."""
        self.pause_listener()
        self.pause_connections()

    def resume(self) -> None:
        """Undo every pause."""
        process.send([*self.connections(), *self._listener()], signal.SIGCONT)

    def kill_connections(self) -> None:
        """End the present connections with SIGKILL: clients see the connection closed; commands may live on."""
        self.pause_connections()
        process.end(self.connections(), "the connections of sshd")

    def kill_listener(self) -> None:
        """End what accepts with SIGKILL; present connections go on."""
        self.pause_listener()
        listener = self._listener()
        self._orphans = [stat for stat in self._below() if stat not in listener]
        process.end(listener, "sshd")
        self._daemon.stop()  # the init, which ends with it anyway

    def kill(self) -> None:
        """End all of it with SIGKILL, as when the host's network service dies; commands may live on."""
        self.pause()
        self.kill_listener()
        self.kill_connections()

    def close(self) -> None:
        """End all of it and the commands that it started, whatever state they are in."""
        self.kill()
        process.end(self.commands(), "the commands of sshd")


def authorize(authorized_keys: Path, public_keys: Sequence[Path]) -> None:
    """Let exactly these keys in."""
    authorized_keys.write_text("".join(path.read_text() for path in public_keys))
