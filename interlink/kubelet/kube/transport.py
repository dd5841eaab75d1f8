"""One request after another over aiohttp: credentials, sockets, and aiohttp's errors as ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import aiohttp
import yarl

from interlink.errors import ConnectionLost, DeadlineExceeded, HostUnreachable
from interlink.kubelet import paths
from interlink.kubelet.kube.credentials import Access, Credentials
from interlink.kubelet.kube.errors import ApiError
from interlink.kubelet.kube.lines import Lines

Object = dict[str, Any]

CONNECT_SECONDS = 10.0
_KEEPALIVE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One request; `body` is JSON."""

    method: str
    path: str  # with its query
    body: bytes | None = field(default=None, repr=False)
    kind: str = "application/json"


class Transport:
    """Connections to one API server; nothing is opened before the first request.

    Errors: ApiError for any answer but 2xx; HostUnreachable while nothing was sent; ConnectionLost and
    DeadlineExceeded where the request may have been carried out.
    """

    def __init__(self, access: Credentials) -> None:
        self.requests: Counter[str] = Counter()  # "PATCH pods/status" -> how many were sent
        self.credentials = access
        self._warned: set[str] = set()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60, socket_factory=self._socket),
            headers={"User-Agent": f"interlink-kubelet/{version('interlink')}", "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close all connections, also those whose farewell a frozen server does not answer."""
        await self._session.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):  # closed already
                sock.shutdown(socket.SHUT_RDWR)
        for _ in range(100):
            if all(sock.fileno() < 0 for sock in self._sockets):
                return
            await asyncio.sleep(0.01)

    async def whole(self, request: Request, seconds: float) -> Object:
        """Send a request and return the answer's object, all within some seconds."""
        seconds = max(seconds, 0.001)
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_SECONDS, seconds / 2))
        async with self._sent(request, timeout) as answer:
            with _translated(request):
                data = await answer.read()
        return _object(data, request)

    @contextlib.asynccontextmanager
    async def stream(self, request: Request, silence: float) -> AsyncIterator[AsyncGenerator[Object, None]]:
        """Send a watch and give its events; DeadlineExceeded after `silence` seconds without a byte."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        async with self._sent(request, timeout) as answer, contextlib.aclosing(_events(request, answer)) as events:
            yield events

    @contextlib.asynccontextmanager
    async def _sent(self, request: Request, timeout: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send, once more if a 401 leads to other credentials; the answer is 2xx."""
        access = await self.credentials.access()
        async with contextlib.AsyncExitStack() as answers:
            answer = await answers.enter_async_context(await self._send(request, access, timeout))
            if answer.status == 401 and await self.credentials.refused(access):
                access = await self.credentials.access()
                answer = await answers.enter_async_context(await self._send(request, access, timeout))
            if answer.status >= 300:
                with _translated(request):
                    body = await answer.read()
                error = ApiError.of_answer(answer.status, body, answer.headers.get("Retry-After"))
                raise error.remarked(access.remark) if answer.status == 401 else error
            self._pass_on_warnings(answer)
            yield answer

    async def _send(self, request: Request, access: Access, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        self.requests[f"{request.method} {paths.resource(request.path)}"] += 1
        headers = {"Authorization": access.authorization} if access.authorization else {}
        if request.body is not None:
            headers["Content-Type"] = request.kind
        with _translated(request):
            return await self._session.request(
                request.method,
                yarl.URL(access.url + request.path, encoded=True),
                data=request.body,
                headers=headers,
                ssl=access.context,
                server_hostname=access.server_name,
                proxy=access.proxy,
                allow_redirects=False,
                timeout=timeout,
            )

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket that notices within a minute that its peer is gone without a word."""
        family, kind, protocol, *_ = info
        made = socket.socket(family, kind, protocol)
        for level, option, value in _KEEPALIVE:
            made.setsockopt(level, option, value)
        self._sockets.add(made)
        return made

    def _pass_on_warnings(self, answer: aiohttp.ClientResponse) -> None:
        """Log what the server warns of (a deprecated version, a dropped field), each text once."""
        for text in answer.headers.getall("Warning", []):
            if text not in self._warned:
                self._warned.add(text)
                _log.warning("Kubernetes warns: %s", text)


async def _events(request: Request, answer: aiohttp.ClientResponse) -> AsyncGenerator[Object, None]:
    lines = Lines()
    while True:
        with _translated(request):
            chunk = await answer.content.readany()
        if not chunk:
            return
        for line in lines.feed(chunk):
            event = _object(line, request)
            if event["type"] == "ERROR":
                raise ApiError.of_status(event["object"])
            yield event


def _object(data: bytes, request: Request) -> Object:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ConnectionLost(f"{request.method} {request.path}: the answer is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConnectionLost(f"{request.method} {request.path}: the answer is not an object")
    return value


@contextlib.contextmanager
def _translated(request: Request) -> Iterator[None]:
    """Turn aiohttp's errors into ours."""
    what = f"{request.method} {request.path.partition('?')[0]}"
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientProxyConnectionError) as error:
        raise HostUnreachable(f"the API server of Kubernetes cannot be reached: {error}") from error
    except asyncio.TimeoutError as error:  # aiohttp's own are of this class too
        raise DeadlineExceeded(f"{what}: no answer from Kubernetes in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionLost(f"{what}: the connection to Kubernetes broke: {error}") from error
