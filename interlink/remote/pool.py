"""One connection per host of the inventory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from interlink.errors import ConfigError
from interlink.model.host import Host
from interlink.model.login import Login
from interlink.remote import hostkeys, trust
from interlink.remote.connection import Connection
from interlink.remote.failover import FailoverConnection
from interlink.remote.hostkeys import OfferedKey
from interlink.remote.local import LocalConnection
from interlink.remote.route import Route
from interlink.remote.ssh import SshConnection
from interlink.remote.tuning import Limits, Shared, Tuning


def route(host: Host, known_hosts: Path) -> Route:
    """Return the way to a host; `known_hosts` is our own file. ConfigError for variables we cannot honour."""
    try:
        login = Login.of(host)
    except ValueError as error:
        raise ConfigError(f"host {host.name}: {error}") from error
    named = host.get("interlink_known_hosts") or login.options.get("userknownhostsfile")
    files = [Path(name).expanduser() for name in str(named).split()] if named else hostkeys.default_files(known_hosts)
    return Route(host.name, login, tuple(files))


class Pool:
    """Gives one connection per host, opened by its first call; `close` closes them all. Thread-safe."""

    def __init__(self, known_hosts: Path, tuning: Tuning | None = None) -> None:
        """`known_hosts` is our own file of pinned keys, beside which the user's and the system's count."""
        self._known_hosts, self._tuning = known_hosts, tuning or Tuning()
        self._shared = Shared()
        self._lock = threading.Lock()
        self._connections: dict[str, tuple[Host, Connection]] = {}

    def connection(self, host: Host) -> Connection:
        """Return the host's connection; a new one, the old one closed, if its variables have changed.

        Of a cluster, one that uses whichever login node answers.
        """
        if host.members:
            return FailoverConnection(host.name, [self.connection(member) for member in host.members])
        with self._lock:
            known = self._connections.get(host.name)
            if known is not None and known[0] == host:
                return known[1]
            connection = self._new(host)
            self._connections[host.name] = (host, connection)
        if known is not None:
            known[1].close()
        return connection

    def trust(self, host: Host, accept: Callable[[OfferedKey], bool], *, replace: bool = False) -> list[OfferedKey]:
        """Pin the keys of a host and its gateways that `accept` agrees to; see `remote.trust`."""
        return trust.trust(route(host, self._known_hosts), accept, replace=replace, tuning=self._tuning)

    def close(self) -> None:
        """Close all connections; later calls on them open them again."""
        with self._lock:
            connections, self._connections = list(self._connections.values()), {}
        for _, connection in connections:
            connection.close()
        self._shared.watchdog.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new(self, host: Host) -> Connection:
        way = route(host, self._known_hosts)
        if way.login.local:
            return LocalConnection(host.name, tuning=self._tuning, shared=self._shared)
        return SshConnection(
            way,
            limits=Limits(int(host.get("interlink_sessions")), int(host.get("interlink_connects_per_minute"))),
            credential_command=host.get("interlink_credential_command") or (),
            tuning=self._tuning,
            shared=self._shared,
        )
