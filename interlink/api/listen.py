"""Where a server listens: parsing, safety, binding. One-line errors instead of gunicorn's retries."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from pathlib import Path

from interlink.errors import ConfigError

_BACKLOG = 512
_UNIX = "unix:"
# Against peers that vanish: a dead one is noticed after about a minute, one that no longer reads after ten.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
_UNREAD_MILLISECONDS = 600_000


def bind(listen: str, *, has_token: bool) -> socket.socket:
    """Return a listening socket for `host:port`, `[v6]:port` or `unix:///path`.

    Raises ConfigError: not an address, in use, beyond loopback without a token file.
    """
    if listen.startswith(_UNIX):
        return _bind_unix(Path(listen[len(_UNIX) :].removeprefix("//")))
    family, address = _resolve(listen)
    if not ipaddress.ip_address(address[0]).is_loopback and not has_token:
        raise ConfigError(f"listening on {listen} needs authentication: set a token file, or listen on 127.0.0.1")
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option, value in _KEEPALIVE:  # accepted connections inherit all of these
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MILLISECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(f"cannot listen on {listen}: {_reason(error)}") from error
    return sock


def url(sock: socket.socket) -> str:
    """Return the address of a listening socket as a client writes it."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"{_UNIX}//{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def _resolve(listen: str) -> tuple[int, tuple[str, int]]:
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ConfigError(f"cannot listen on {listen!r}: write host:port or unix:///path")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"cannot listen on {listen}: {error.strerror}") from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _bind_unix(path: Path) -> socket.socket:
    if not path.is_absolute():
        raise ConfigError(f"a unix socket needs an absolute path: unix:///run/interlink.sock, not {path}")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # so that nobody else can connect, not even for a moment
    try:
        sock.bind(str(path))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(f"cannot listen on {path}: {_reason(error)}") from error
    finally:
        os.umask(mask)
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that is gone; refuse to replace a living one, or a file."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"cannot listen on {path}: it exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise ConfigError(f"cannot listen on {path}: {_reason(error)}") from error
    raise ConfigError(f"cannot listen on {path}: another server listens there already")


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is already taken"
    return error.strerror or str(error)
