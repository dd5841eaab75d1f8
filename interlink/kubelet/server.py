"""The kubelet's own HTTPS API, one port per node. All callers are asked who they are and what they may.

Source: the real kubelet's server.go, for paths, status codes and texts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from interlink.errors import ConfigError, InterlinkError
from interlink.kubelet import access
from interlink.kubelet.auth import Api, Callers, Rights
from interlink.kubelet.endpoints import About, Endpoints, Source, plain
from interlink.kubelet.serving import Certificate
from interlink.kubelet.tls import LiveTls

Handler = Any  # aiohttp's own; a coroutine function of a request

CLOSE_SECONDS = 1.0  # for answers under way
KEEP_AGAIN_SECONDS = 60.0
HEADER_BYTES = 32 << 10  # a token may be large
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listen:
    """Where to listen; port 0 takes a free one."""

    address: str = "0.0.0.0"  # noqa: S104 - the API server dials the node from outside
    port: int = 10250


@dataclass(frozen=True)
class Node:
    """What a server serves: a node, its API pods (read anew with each request), the backend that runs them."""

    name: str
    pods: Iterable[Mapping[str, Any]]
    backend: Source
    about: About = field(default_factory=About)


class KubeletServer:
    """One node's server. `callers` is shared by all nodes of a process, and kept up to date by whoever made it."""

    def __init__(self, node: Node, kube: Api, callers: Callers, certificate: Certificate, listen: Listen) -> None:
        self.certificate = certificate
        self._callers, self._rights = callers, Rights(kube, node.name)
        self._listen = listen
        self._endpoints = Endpoints(node.name, node.pods, node.backend, certificate=certificate, about=node.about)
        self._runner: web.AppRunner | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; that of `listen` before `start`."""
        return self._runner.addresses[0][1] if self._runner and self._runner.addresses else self._listen.port

    async def start(self) -> None:
        """Listen. ConfigError if given files cannot be read, OSError if the port is taken."""
        await self.certificate.prepare()
        if not self._callers.authority:
            await self._callers.read_authority()
        try:
            tls = LiveTls(lambda: self.certificate.chain, lambda: self._callers.authority)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError(f"the serving certificate or the clients' authority cannot be used: {error}") from error
        app = web.Application(middlewares=[self._guard])
        self._endpoints.install(app)
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=CLOSE_SECONDS, max_field_size=HEADER_BYTES
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._listen.address, self._listen.port, ssl_context=tls.context).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._keeper = asyncio.create_task(self._keep(), name="serving certificate")

    async def close(self) -> None:
        """Stop listening and end what is under way; may be repeated."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._runner and self._runner.server:
            connections = [connection.transport for connection in self._runner.server.connections]
            self._endpoints.end_streams()
            await self._runner.cleanup()
            for transport in connections:
                if transport:
                    transport.abort()  # else TLS waits half a minute for the farewell of a peer that may say none
        self._keeper = self._runner = None

    async def _keep(self) -> None:
        """Renew the certificate; a defect there is told, and must not end it for good."""
        while True:
            try:
                await self.certificate.keep()
            except Exception:
                _log.exception("the serving certificate of %s is not renewed", self._endpoints.node)
                await asyncio.sleep(KEEP_AGAIN_SECONDS)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let through who may; 401, 403 and 500 as the real kubelet answers them."""
        try:
            certificate = request.get_extra_info("peercert")
            caller = await self._callers.identify(certificate, request.headers.get("Authorization", ""))
        except InterlinkError as error:
            _log.warning("a caller cannot be identified: %s", error)
            caller = None
        if caller is None:
            return plain(401, "Unauthorized")
        wish = access.wish(request.method, request.path)
        what = f"user={caller.name}, verb={wish.verb}, resource=nodes, subresource(s)={list(wish.subresources)}"
        try:
            allowed = await self._rights.allow(caller, wish)
        except InterlinkError as error:
            _log.warning("the rights of %s cannot be told: %s", caller.name, error)
            return plain(500, f"Authorization error ({what})")
        if not allowed:
            return plain(403, f"Forbidden ({what})")
        response: web.StreamResponse = await handler(request)
        return response
