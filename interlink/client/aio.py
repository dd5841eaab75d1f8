"""The asyncio transport, by aiohttp: TCP, TLS and unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeVar

import aiohttp
from yarl import URL

from interlink.client.calls import Call
from interlink.client.credentials import token
from interlink.client.messages import ANSWER_SECONDS, CONNECT_SECONDS, Reply, Request, headers
from interlink.client.within import within
from interlink.errors import ConfigError, ConnectionLost, DeadlineExceeded, HostUnreachable
from interlink.model.wire import problems

T = TypeVar("T")

IN_FLIGHT = 32  # calls; streams count apart
_CHUNK = 1 << 16
_LINE = 1 << 20


class AioTransport:
    """One peer's connections, for one event loop. Nothing is opened before the first request.

    Errors: HostUnreachable while nothing was sent; ConnectionLost and DeadlineExceeded afterwards.
    """

    def __init__(self, url: str, token_file: Path | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        """`tls` says whom to trust at an https:// URL, and as whom to appear; None: the machine's authorities."""
        self.peer = url
        self._token_file, self._tls = token_file, tls
        self._socket, self._base = _split(url)
        self._opened: aiohttp.ClientSession | None = None
        self._room = asyncio.Semaphore(IN_FLIGHT)

    async def close(self) -> None:
        """Close all connections; open streams break off."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def ask(self, call: Call[T], *, answer_seconds: float = ANSWER_SECONDS) -> T:
        """Make a call and return what its answer says."""
        return call.answer(await self.send(call.request, answer_seconds=answer_seconds), self.peer)

    async def send(self, request: Request, *, answer_seconds: float = ANSWER_SECONDS) -> Reply:
        """Send a request and return its whole reply."""
        try:
            return await self._sent(request, answer_seconds)
        except ConnectionLost:
            if not request.again:
                raise
            return await self._sent(request, answer_seconds)  # the server may just have closed an idle connection

    @contextlib.asynccontextmanager
    async def open(
        self, request: Request, *, silence_seconds: float | None = None, answer_seconds: float | None = ANSWER_SECONDS
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send a request; the context holds the reply's body as it comes, its error if the status is not 200.

        `silence_seconds` bounds the pause between chunks; None: a log may be silent for ever. `answer_seconds` bounds
        the time until the body begins; None: some servers send nothing before a log's first line.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds
        )
        with self._errors():
            response = await within(answer_seconds, self._request(request, timeout))
        try:
            if response.status != 200:
                with self._errors():
                    body = await response.content.read(_CHUNK)
                raise problems.error_of(response.status, body, reads=True, peer=self.peer)
            yield self._chunks(response)
        finally:
            response.close()

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        with self._errors():
            async for chunk in response.content.iter_any():
                yield chunk

    async def _sent(self, request: Request, answer_seconds: float) -> Reply:
        timeout = aiohttp.ClientTimeout(total=answer_seconds, sock_connect=CONNECT_SECONDS)
        async with self._room:
            with self._errors():
                async with await self._request(request, timeout) as response:
                    return Reply(response.status, await response.read())

    async def _request(self, request: Request, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        return await self._session().request(
            request.method,
            URL(self._base + request.path, encoded=True),
            data=request.body,
            headers=headers(request, token(self._token_file)),
            allow_redirects=False,
            timeout=timeout,
        )

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=self._connector(), auto_decompress=False, read_bufsize=_LINE, trust_env=False
            )
        return self._opened

    def _connector(self) -> aiohttp.BaseConnector:
        if self._socket:
            return aiohttp.UnixConnector(self._socket, limit=0)
        if self._base.startswith("https://"):
            return aiohttp.TCPConnector(limit=0, ssl=self._tls or ssl.create_default_context())
        return aiohttp.TCPConnector(limit=0)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise HostUnreachable(f"{self.peer} cannot be reached: {_reason(error)}") from error
        except asyncio.TimeoutError as error:
            raise DeadlineExceeded(f"{self.peer} did not answer in time") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ConnectionLost(f"{self.peer}: the connection broke: {_reason(error)}") from error


async def split_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut chunks into the lines of a watch; an unfinished last line is dropped."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line


def _split(url: str) -> tuple[str, str]:
    """Return the unix socket's path, if it is one, and the base of all URLs."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return parts.path, "http://unix"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is not the URL of a server: write http://, https:// or unix:///path")
    return "", f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or getattr(error, "os_error", None)
    return str(cause or error) or type(error).__name__
