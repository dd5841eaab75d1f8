"""Open one SSH connection: every hop by fabric, with its host key verified and deadlines of our own."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import paramiko
from paramiko.hostkeys import HostKeys

from interlink.errors import HostUnreachable, LoginRefused
from interlink.remote import credentials, frames, hostkeys
from interlink.remote.channel import SshChannel
from interlink.remote.deadline import Deadline
from interlink.remote.proxy import Proxy
from interlink.remote.remoteshell import Broken, NoSession
from interlink.remote.route import Hop, Route
from interlink.remote.tuning import Tuning

_USER_TIMEOUT = 30_000  # ms without an acknowledgement, after which the kernel gives a TCP connection up
_LOOK = 5.0
"""Seconds between two looks of an idle connection's thread at itself; paramiko's own is 0.1."""
_LOG = "interlink.paramiko"
"""paramiko's logger: what it says with tracebacks, our errors say in a line."""


@dataclass
class OpenedSsh:
    """An open chain of connections; the last one is the host's."""

    far = True
    hops: list[Hop] = field(default_factory=list)
    sockets: list[Any] = field(default_factory=list)
    """What the hops speak on: a socket for the first, channels of the hop before for the others."""
    proxies: list[Proxy] = field(default_factory=list)

    @property
    def transport(self) -> paramiko.Transport | None:
        return self.hops[-1].connection.client.get_transport() if self.hops else None

    @property
    def alive(self) -> bool:
        transport = self.transport
        return transport is not None and bool(transport.is_active())

    def session(self, deadline: Deadline) -> SshChannel:
        """Open a session and execute our shell; NoSession if sshd has none left, Broken otherwise."""
        transport = self.transport
        if transport is None or not transport.is_active():
            raise Broken("the connection is closed")
        channel = self._session(transport, deadline)
        try:
            channel.exec_command(frames.SHELL)
        except (paramiko.SSHException, OSError, EOFError) as error:
            channel.close()
            raise Broken(f"/bin/sh could not be executed: {error}") from error
        return SshChannel(channel)

    def _session(self, transport: paramiko.Transport, deadline: Deadline) -> paramiko.Channel:
        try:
            return transport.open_session(timeout=max(0.1, deadline.left()))
        except (paramiko.SSHException, OSError, EOFError) as error:
            # A refusal is a ChannelException; under load its thread may see "Unable to open channel." instead.
            if transport.is_active() and "Timeout" not in str(error):
                raise NoSession(str(error)) from error
            raise Broken(str(error)) from error

    def abort(self) -> None:
        for sock in self.sockets[:1]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for hop in reversed(self.hops):
            transport = hop.connection.client.get_transport()
            if transport is not None:
                _hang_up(transport.sock)  # or its thread would notice only at its next look around
            hop.connection.client.close()
            if transport is not None:
                if transport.is_alive():
                    transport.join()
                transport.packetizer.complete_handshake()  # ends the timer of one that was cut
        for sock in self.sockets:
            sock.close()
        for proxy in self.proxies:
            proxy.close()

    def forget(self) -> None:
        for sock in self.sockets[:1]:
            sock.close()
        for hop in self.hops:
            transport = hop.connection.client.get_transport()
            if transport is not None:
                transport.active = False


class Opener:
    """Opens a route once. `abort` works from any thread while `open` runs."""

    def __init__(self, route: Route, tuning: Tuning) -> None:
        self._route, self._tuning = route, tuning
        self._opened = OpenedSsh()

    def abort(self) -> None:
        self._opened.abort()

    def open(self) -> OpenedSsh:
        """Connect and log in, hop by hop; HostUnreachable or its children."""
        deadline = Deadline(self._tuning.open_timeout)
        for key_file in self._route.login.identity_files:
            credentials.check_key(self._route.name, key_file)
        keys = hostkeys.load(self._route.known_hosts)
        try:
            self._opened.hops = self._route.hops()
            for hop in self._opened.hops:
                self.connect(hop, keys, deadline)
        except BaseException:
            self._discard()
            raise
        return self._opened

    @contextlib.contextmanager
    def opening(self) -> Iterator[list[Hop]]:
        """Give the unopened hops to who opens them one by one, and close them at the end."""
        self._opened.hops = self._route.hops()
        try:
            yield self._opened.hops
        finally:
            self._discard()

    def _discard(self) -> None:
        self._opened.abort()
        self._opened.close()

    def connect(self, hop: Hop, keys: HostKeys, deadline: Deadline) -> None:
        """Open one hop; those before it are open."""
        name, client = self._route.name, hop.connection.client
        sock = self.reach(hop, deadline)
        prepare(hop, keys, sock, deadline)
        client.set_missing_host_key_policy(hostkeys.Refuse(name))
        try:
            hop.connection.open()
        except paramiko.BadHostKeyException as error:
            raise hostkeys.changed(name, error, hop.port) from error
        except paramiko.AuthenticationException as error:
            if not logged_in_plainly(hop):
                raise self._refused(hop, error) from error
        except (paramiko.SSHException, OSError, EOFError, ValueError) as error:  # ValueError: a malformed key
            transport = client.get_transport()
            if transport is None or not transport.is_active():
                raise self.unreachable(hop, error) from error
            if not logged_in_plainly(hop):  # keys were exchanged: the login failed
                raise self._refused(hop, error) from error
        with contextlib.suppress(OSError):  # lost again already, and closed: the first session says so
            client.get_transport().sock.settimeout(_LOOK)

    def reach(self, hop: Hop, deadline: Deadline) -> Any:
        """Return a socket, or a channel of the hop before, that leads to the sshd of this hop."""
        place = self._opened.hops.index(hop)
        before = self._opened.hops[place - 1].connection if place else None
        try:
            if before is not None:
                sock = before.client.get_transport().open_channel(
                    "direct-tcpip", (hop.host, hop.port), ("", 0), timeout=max(0.1, deadline.left())
                )
            elif hop.proxy:
                self._opened.proxies.append(Proxy(hop.proxy))
                sock = self._opened.proxies[-1].socket
            else:
                sock = socket.create_connection((hop.host, hop.port), timeout=max(0.1, deadline.left()))
                tune(sock)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self.unreachable(hop, error) from error
        self._opened.sockets.append(sock)
        return sock

    def unreachable(self, hop: Hop, error: Exception) -> HostUnreachable:
        return HostUnreachable(f"host {self._route.name}: cannot connect to {hop.label}: {_reason(error)}")

    def _refused(self, hop: Hop, error: Exception) -> LoginRefused:
        files = hop.key_files
        tried = f" with {', '.join(files)}" if files else ""
        return LoginRefused(
            f"host {self._route.name}: {hop.label} refuses the login{tried}: {_reason(error)}{_diagnosis(files)}"
        )


def prepare(hop: Hop, keys: HostKeys, sock: Any, deadline: Deadline) -> None:
    """Set everything that fabric and paramiko leave open or leave wrong, before the hop is opened."""
    connection = hop.connection
    name = hostkeys.known_name(hop.host, hop.port)
    for kind, key in (keys.lookup(name) or {}).items():
        connection.client.get_host_keys().add(name, kind, key)
    connection.client.set_log_channel(_LOG)
    left = max(0.1, deadline.left())
    connection.connect_kwargs.update(
        sock=sock,
        key_filename=hop.key_files,
        look_for_keys=not hop.key_files,
        allow_agent=hop.configured("identitiesonly") != "yes",
        timeout=left,
        banner_timeout=left,
        auth_timeout=left,
        channel_timeout=left,
    )
    connection.connect_timeout = None


def logged_in_plainly(hop: Hop) -> bool:
    """Try the keys again without their certificates, as ssh does: this sshd may know a key and not its authority."""
    transport, user = hop.connection.client.get_transport(), hop.connection.user or getpass.getuser()
    for key in credentials.plain_keys(hop.key_files):
        if transport is None or not transport.is_active():
            return False
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            transport.auth_publickey(user, key)
        if transport.is_authenticated():
            return True
    return False


def _hang_up(sock: Any) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        if isinstance(sock, paramiko.Channel):
            sock.close()
        else:
            sock.shutdown(socket.SHUT_RDWR)


def tune(sock: socket.socket) -> None:
    """No delay for small packets, and a dead network noticed by the kernel."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT)


def _reason(error: BaseException) -> str:
    """Return one line of an error, with what paramiko hides behind a word."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    if "Error reading SSH protocol banner" in text:
        return "no SSH greeting came (is sshd overloaded or frozen, or MaxStartups reached?)"
    return text


def _diagnosis(files: Sequence[str]) -> str:
    """Say what may be wrong with the keys that were tried."""
    for file in files:
        end = credentials.certificate_expiry(file)
        if end is not None and credentials.expired(end):
            return f"; the certificate of {file} expired at {end:%Y-%m-%d %H:%M:%S} UTC: renew it"
        try:
            paramiko.PKey.from_path(file)
        except paramiko.PasswordRequiredException:
            return f"; {file} is protected by a passphrase: add it to ssh-agent"
        except (paramiko.SSHException, OSError, ValueError, TypeError) as error:
            if "passphrase" in str(error).lower() or "password" in str(error).lower():
                return f"; {file} is protected by a passphrase: add it to ssh-agent"
    return ""
