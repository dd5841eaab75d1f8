"""Requests to the API server: bounded in number, in time and in repeats."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Literal

import yarl

from interlink.errors import HostUnreachable, InterlinkError
from interlink.kubelet import paths
from interlink.kubelet.gate import Gate
from interlink.kubelet.kube import credentials, retries
from interlink.kubelet.kube.credentials import Credentials
from interlink.kubelet.kube.transport import Object, Request, Transport

PatchKind = Literal["strategic", "merge", "apply"]

IN_FLIGHT = 30  # more in parallel is answered by 429
LEASES_IN_FLIGHT = 8
ANSWER_SECONDS = 30.0
_PATCHES = {
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",  # JSON is YAML
}
_log = logging.getLogger(__name__)


class Kube:
    """One API server. All methods take a path of `paths` and return the answer's object.

    Errors: ApiError for any answer but 2xx; HostUnreachable while nothing was sent; ConnectionLost and
    DeadlineExceeded where a request may have been carried out. Requests that may be repeated have been, up to
    five times within `timeout`; that is the number of seconds for a whole call: its turn, its repeats, its answer.
    """

    def __init__(self, access: Credentials) -> None:
        self._transport = Transport(access)
        self._gate: Gate | None = None
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._lease_slots = asyncio.Semaphore(LEASES_IN_FLIGHT)

    @property
    def requests(self) -> Counter[str]:
        """How many requests were sent, by verb and resource, such as "PATCH pods/status"."""
        return self._transport.requests

    @classmethod
    async def connect(cls, kubeconfig: str | None = None) -> Kube:
        """Read the credentials: of `kubeconfig`, else as kubectl finds them, in a pod its service account's.

        Opens no connection. ConfigError where there are no credentials.
        """
        access = Credentials(credentials.find(kubeconfig))
        await access.access()
        return cls(access)

    async def __aenter__(self) -> Kube:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    def through(self, gate: Gate) -> Kube:
        """Return the same client with all writes passing a gate: NotLeading while that is shut. Only we are closed."""
        gated = copy.copy(self)
        gated._gate = gate
        return gated

    async def address(self) -> tuple[str, int]:
        """Return host and port of the API server."""
        url = yarl.URL((await self._transport.credentials.access()).url)
        return url.host or "localhost", url.port or 443

    async def get(self, path: str, *, timeout: float = ANSWER_SECONDS, **query: object) -> Object:
        """Read an object or a list."""
        return await self._call("GET", path, query, timeout=timeout)

    async def create(
        self, path: str, body: Mapping[str, Any], *, timeout: float = ANSWER_SECONDS, **query: object
    ) -> Object:
        """POST an object; never repeated where the server may have made it."""
        return await self._call("POST", path, query, body, timeout=timeout)

    async def replace(
        self, path: str, body: Mapping[str, Any], *, timeout: float = ANSWER_SECONDS, **query: object
    ) -> Object:
        """PUT an object with its resourceVersion; 409 may also mean that our own first try was carried out."""
        return await self._call("PUT", path, query, body, timeout=timeout)

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any],
        kind: PatchKind = "strategic",
        *,
        manager: str | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> Object:
        """Change an object. "apply" is server-side apply by the field manager `manager`, taking over conflicts."""
        query = {"fieldManager": manager, "force": True if kind == "apply" else None}
        return await self._call("PATCH", path, query, body, kind=_PATCHES[kind], timeout=timeout)

    async def delete(
        self, path: str, body: Mapping[str, Any] | None = None, *, timeout: float = ANSWER_SECONDS
    ) -> Object:
        """Delete an object; `body` is DeleteOptions, such as gracePeriodSeconds and preconditions."""
        return await self._call("DELETE", path, {}, body, timeout=timeout)

    @contextlib.asynccontextmanager
    async def watch(self, path: str, *, silence: float, **query: object) -> AsyncIterator[AsyncGenerator[Object, None]]:
        """Follow a resource: `async with kube.watch(...) as events: async for event in events`.

        Takes no slot and repeats nothing. Ends when the server ends it; ApiError for an answer but 200 and for an
        ERROR event, DeadlineExceeded after `silence` seconds without a byte, ConnectionLost if it breaks.
        """
        request = Request("GET", paths.with_query(path, {**query, "watch": True}))
        async with self._transport.stream(request, silence) as events:
            yield events

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        body: Mapping[str, Any] | None = None,
        *,
        kind: str = "application/json",
        timeout: float,
    ) -> Object:
        data = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        request = Request(method, paths.with_query(path, query), data, kind)
        deadline = time.monotonic() + timeout
        slots = self._lease_slots if path.startswith(paths.LEASES) else self._slots
        call = self._in_turn(request, slots, deadline)
        return await (self._gate.run(call) if self._gate and method != "GET" else call)

    async def _in_turn(self, request: Request, slots: asyncio.Semaphore, deadline: float) -> Object:
        async with _turn(slots, deadline - time.monotonic()):
            return await self._repeated(request, deadline)

    async def _repeated(self, request: Request, deadline: float) -> Object:
        attempt = 0
        while True:
            try:
                return await self._transport.whole(request, deadline - time.monotonic())
            except InterlinkError as error:
                wait = retries.delay(attempt, error)
                attempt += 1
                last = attempt >= retries.ATTEMPTS or time.monotonic() + wait >= deadline
                if last or not retries.may_repeat(request.method, error):
                    raise
                _log.debug("%s %s: %s; again in %.1f s", request.method, request.path, error, wait)
            await asyncio.sleep(wait)


@contextlib.asynccontextmanager
async def _turn(slots: asyncio.Semaphore, seconds: float) -> AsyncIterator[None]:
    """Hold one of the slots; HostUnreachable if none becomes free in time."""
    if slots.locked():  # to wait with a limit costs a task
        await _slot(slots, seconds)
    else:
        await slots.acquire()
    try:
        yield
    finally:
        slots.release()


async def _slot(slots: asyncio.Semaphore, seconds: float) -> None:
    """Take a slot. One that comes just as we are cancelled, or too late, is given back."""
    asking = asyncio.ensure_future(slots.acquire())
    in_time = False
    try:
        in_time = bool((await asyncio.wait([asking], timeout=seconds))[0])
    finally:
        if not in_time and not asking.cancel():
            slots.release()
    if not in_time:
        raise HostUnreachable(f"Kubernetes: too many requests of ours wait, no turn in {seconds:g} s")
