"""From a host's variables and ~/.ssh/config to the hops of a connection, not yet opened."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabric
import paramiko

from interlink.errors import ConfigError
from interlink.model.login import Login
from interlink.remote import credentials, proxy

_MOST_HOPS = 8


@dataclass(frozen=True)
class Route:
    """How to reach a host: what to log in to and with which pinned keys. `name` is the inventory's."""

    name: str
    login: Login
    known_hosts: tuple[Path, ...]

    def hops(self) -> list[Hop]:
        """Return the hops, gateways first, from the login and a fresh look at ~/.ssh/config."""
        login, config = self.login, self._config()
        target = fabric.Connection(
            login.address,
            user=login.user,
            port=login.port,
            config=config,
            gateway=False,
            connect_kwargs={"key_filename": [str(Path(f).expanduser()) for f in login.identity_files]},
        )
        gateways = [fabric.Connection(name, config=config, gateway=False) for name in self._gateways(config, target)]
        hops = [Hop(connection) for connection in [*gateways, target]]
        command = (None if gateways else login.proxy_command) or hops[0].configured("proxycommand")
        hops[0] = Hop(hops[0].connection, command)
        return hops

    def _config(self) -> fabric.Config:
        """Read ~/.ssh/config and the system's, or what -F names; fabric's own files are not ours to read."""
        file = self.login.options.get("configfile")
        path = str(Path(file).expanduser()) if file else None
        try:
            config = fabric.Config(lazy=True, runtime_ssh_path=path)
            config.load_ssh_config()
        except (OSError, paramiko.SSHException) as error:
            raise ConfigError(f"host {self.name}: the ssh configuration cannot be read: {error}", file=path) from error
        return config

    def _gateways(self, config: fabric.Config, target: fabric.Connection) -> list[str]:
        """Name the gateways, nearest to us first. The first one's own ProxyJump counts too, as in ssh."""
        names = list(self.login.jumps)
        if not names and not self.login.proxy_command:
            names = _jumps(target.ssh_config)
        while names and len(names) < _MOST_HOPS:
            first = fabric.Connection(names[0], config=config, gateway=False)
            before = [name for name in _jumps(first.ssh_config) if name not in names]
            if not before:
                break
            names = before + names
        return names[:_MOST_HOPS]

    def key_files(self) -> list[str]:
        """Return the private keys of the target itself, named by the inventory or by ~/.ssh/config."""
        return self.hops()[-1].key_files

    def watched_files(self) -> list[str | Path]:
        """Return the files whose change may turn a refusal into a welcome."""
        keys = list(self.login.identity_files)
        return [*keys, *(credentials.certificate_of(key) for key in keys), *self.known_hosts]


@dataclass(frozen=True)
class Hop:
    """One sshd on the way, as fabric has read the configuration for it; fabric never opens a gateway itself."""

    connection: fabric.Connection
    proxy_command: str | None = None

    @property
    def host(self) -> str:
        return str(self.connection.host)

    @property
    def port(self) -> int:
        return int(self.connection.port)

    @property
    def label(self) -> str:
        """user@address:port, for messages."""
        return f"{self.connection.user or getpass.getuser()}@{self.host}:{self.port}"

    @property
    def key_files(self) -> list[str]:
        """The private keys to try that exist: ssh passes over missing ones of its configuration, too."""
        files = self.connection.connect_kwargs.get("key_filename") or []
        return [file for file in files if Path(file).exists()]

    @property
    def proxy(self) -> list[str]:
        """The argument list of the ProxyCommand that leads here, or nothing."""
        if self.proxy_command is None:
            return []
        tokens = {"h": self.host, "p": str(self.port), "r": str(self.connection.user)}
        return proxy.expand(self.proxy_command, tokens)

    def configured(self, keyword: str) -> str | None:
        """Return what ~/.ssh/config says for this hop; None for "none" as well."""
        return _unless_none(self.connection.ssh_config.get(keyword))


def _unless_none(value: str | None) -> str | None:
    return None if value is None or value.lower() == "none" else value


def _jumps(found: Any) -> list[str]:
    value = _unless_none(found.get("proxyjump"))
    return [hop.strip() for hop in value.split(",")] if value else []
