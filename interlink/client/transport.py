"""The synchronous transport, by urllib3: TCP, TLS and unix sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from interlink.client.calls import Call
from interlink.client.credentials import token
from interlink.client.messages import ANSWER_SECONDS, CONNECT_SECONDS, Reply, Request, headers
from interlink.errors import ConfigError, ConnectionLost, DeadlineExceeded, HostUnreachable, InterlinkError
from interlink.model.wire import problems

T = TypeVar("T")

_CHUNK = 1 << 16
_KEEPALIVE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]


class Transport:
    """One peer's connections; thread-safe. Nothing is opened before the first request.

    Errors: HostUnreachable while nothing was sent; ConnectionLost and DeadlineExceeded afterwards.
    """

    def __init__(self, url: str, token_file: Path | None = None, ca_file: Path | None = None) -> None:
        self.peer = url
        self._token_file = token_file
        self._pool, self._prefix = _pool(url, ca_file)

    def ask(self, call: Call[T]) -> T:
        """Make a call and return what its answer says."""
        return call.answer(self.send(call.request), self.peer)

    def send(self, request: Request, *, answer_seconds: float = ANSWER_SECONDS) -> Reply:
        """Send a request and return its whole reply."""
        with contextlib.closing(self._begun(request, answer_seconds)) as response:
            with self._errors():
                reply = Reply(response.status, response.read())
            response.release_conn()
            return reply

    def open(
        self, request: Request, *, silence_seconds: float | None = None, answer_seconds: float | None = ANSWER_SECONDS
    ) -> ReplyStream:
        """Send a request and return the reply's body as it comes; its error if the status is not 200.

        `silence_seconds` bounds the pause between chunks; None: a log may be silent for ever. `answer_seconds` bounds
        the time until the body begins; None: some servers send nothing before a log's first line.
        """
        response = self._begun(request, answer_seconds)
        if response.status != 200:
            with contextlib.closing(response), self._errors():
                raise problems.error_of(response.status, response.read(_CHUNK), reads=True, peer=self.peer)
        sock = getattr(response.connection, "sock", None)
        if sock is not None:
            sock.settimeout(silence_seconds)
        return ReplyStream(response, self.peer)

    def close(self) -> None:
        """Close all idle connections."""
        self._pool.close()

    def _begun(self, request: Request, answer_seconds: float | None) -> urllib3.BaseHTTPResponse:
        try:
            return self._sent(request, answer_seconds)
        except ConnectionLost:
            if not request.again:
                raise
            return self._sent(request, answer_seconds)  # the server may just have closed an idle connection

    def _sent(self, request: Request, answer_seconds: float | None) -> urllib3.BaseHTTPResponse:
        with self._errors():
            return self._pool.urlopen(
                request.method,
                self._prefix + request.path,
                body=request.body,
                headers=headers(request, token(self._token_file)),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=answer_seconds),
            )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except urllib3.exceptions.HTTPError as error:
            raise _translated(error, self.peer) from error


class ReplyStream:
    """The body of a reply as it comes; a LogStream."""

    def __init__(self, response: urllib3.BaseHTTPResponse, peer: str) -> None:
        self._response, self._peer = response, peer
        self._chunks = response.stream(_CHUNK)
        self._reading = threading.Lock()
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self._next()) is not None:
            yield chunk

    def close(self) -> None:
        """End the iteration, also one that waits in another thread, and free the connection."""
        self._closed.set()
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has ended by itself
            self._response.shutdown()
        with self._reading:
            self._response.close()

    def _next(self) -> bytes | None:
        with self._reading:
            if self._closed.is_set():
                return None
            try:
                return next(self._chunks, None)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if self._closed.is_set():  # our own doing
                    return None
                raise ConnectionLost(f"{self._peer}: the stream broke off: {error}") from error


class _UnixConnection(HTTPConnection):
    """A connection to a unix socket; its path stands where the host would."""

    path = ""

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(CONNECT_SECONDS)
            sock.connect(self.path)
        except OSError as error:
            sock.close()
            raise urllib3.exceptions.NewConnectionError(self, str(error)) from error
        return sock


def _pool(url: str, ca_file: Path | None) -> tuple[HTTPConnectionPool, str]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "unix" and parts.path.startswith("/"):
        connection = type("UnixConnection", (_UnixConnection,), {"path": parts.path})
        pool_class = type("UnixPool", (HTTPConnectionPool,), {"ConnectionCls": connection})
        return pool_class("localhost", maxsize=16), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is not the URL of a server: write http://, https:// or unix:///path")
    bare = f"{parts.scheme}://{parts.netloc}"
    tls = {"ca_certs": str(ca_file)} if ca_file and parts.scheme == "https" else {}
    pool = urllib3.connection_from_url(bare, maxsize=16, socket_options=_KEEPALIVE, **tls)
    return pool, parts.path.rstrip("/")


def _translated(error: urllib3.exceptions.HTTPError, peer: str) -> InterlinkError:
    kinds = urllib3.exceptions
    if isinstance(error, (kinds.NewConnectionError, kinds.ConnectTimeoutError, kinds.SSLError, kinds.ProxyError)):
        return HostUnreachable(f"{peer} cannot be reached: {_reason(error)}")
    if isinstance(error, kinds.TimeoutError):
        return DeadlineExceeded(f"{peer} did not answer in time")
    return ConnectionLost(f"{peer}: the connection broke before the answer: {_reason(error)}")


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    return str(cause) if isinstance(cause, OSError) else str(error).rpartition(": ")[2]
