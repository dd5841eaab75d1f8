"""Authentication and authorisation of the kubelet's own API, by the API server; whatever fails refuses."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from interlink.errors import InterlinkError
from interlink.kubelet import access, paths
from interlink.kubelet.access import Caller, Wish

T = TypeVar("T")

TOKEN_SECONDS, NO_TOKEN_SECONDS = 120.0, 10.0
ALLOW_SECONDS, DENY_SECONDS = 300.0, 30.0
AUTHORITY_SECONDS = 60.0  # between two looks at the cluster's client authority
ANSWER_SECONDS = 10.0
REVIEWS = 4  # at a time: a flood of callers must not take the kubelet's own turns at the API server
_KEPT = 4096  # answers; a flood of made-up tokens must not fill the memory
_log = logging.getLogger(__name__)


class Api(Protocol):
    """What is needed of the API server's client (kube.Kube)."""

    async def get(self, path: str, *, timeout: float = ...) -> dict[str, Any]: ...

    async def create(self, path: str, body: Mapping[str, Any], *, timeout: float = ...) -> dict[str, Any]: ...


class Callers:
    """Tells who a caller is: by client certificate, else by token. One for all nodes of the process."""

    def __init__(self, kube: Api, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.authority = ""  # PEM of the CAs whose client certificates count; "" while unknown: none counts
        self._kube = kube
        self._tokens: Remembered[Caller | None] = Remembered(clock)
        self._turn = asyncio.Semaphore(REVIEWS)

    async def follow_authority(self) -> None:
        """Keep `authority` as the cluster says, until cancelled; what cannot be read leaves the last one."""
        while True:
            await self.read_authority()
            await asyncio.sleep(AUTHORITY_SECONDS)

    async def read_authority(self) -> None:
        """Look once at the ConfigMap extension-apiserver-authentication."""
        where = paths.config_map("kube-system", "extension-apiserver-authentication")
        try:
            found = await self._kube.get(where, timeout=ANSWER_SECONDS)
        except InterlinkError as error:
            _log.warning("the authority of client certificates is not known%s: %s", self._meanwhile(), error)
            return
        said = (found.get("data") or {}).get("client-ca-file") or ""
        if said != self.authority:
            self.authority = said
            _log.info("the authority of client certificates was %s", "read" if said else "withdrawn")

    async def identify(self, certificate: Mapping[str, Any] | None, authorization: str) -> Caller | None:
        """Return the caller, or None for an anonymous or unknown one. Raises InterlinkError if that cannot be told."""
        if caller := access.of_certificate(certificate):
            return caller
        token = access.bearer(authorization)
        if not token:
            return None
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        known, caller = self._tokens.get(key)
        if not known:
            async with self._turn:
                answer = await self._kube.create(paths.token_reviews(), access.review(token), timeout=ANSWER_SECONDS)
            caller = access.of_review(answer)
            self._tokens.put(key, caller, TOKEN_SECONDS if caller else NO_TOKEN_SECONDS)
        return caller

    def _meanwhile(self) -> str:
        return ", the last one stays in force" if self.authority else ", none is accepted"


class Rights:
    """Tells what a caller may ask of one node."""

    def __init__(self, kube: Api, node: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._node = kube, node
        self._verdicts: Remembered[bool] = Remembered(clock)
        self._turn = asyncio.Semaphore(REVIEWS)

    async def allow(self, caller: Caller, wish: Wish) -> bool:
        """Ask for each subresource in turn, one is enough. Raises InterlinkError if that cannot be told."""
        for subresource in wish.subresources:
            if await self._allow(caller, wish.verb, subresource):
                return True
        return False

    async def _allow(self, caller: Caller, verb: str, subresource: str) -> bool:
        known, allowed = self._verdicts.get((caller, verb, subresource))
        if not known:
            body = access.access_review(caller, self._node, verb, subresource)
            async with self._turn:
                answer = await self._kube.create(paths.subject_access_reviews(), body, timeout=ANSWER_SECONDS)
            allowed = access.is_allowed(answer)
            self._verdicts.put((caller, verb, subresource), allowed, ALLOW_SECONDS if allowed else DENY_SECONDS)
        return bool(allowed)


class Remembered(Generic[T]):
    """Answers with an expiry; the oldest go when there are too many."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[object, tuple[float, T]] = OrderedDict()

    def get(self, key: object) -> tuple[bool, T | None]:
        """Return whether an answer is kept, and the answer."""
        until, answer = self._kept.get(key, (0.0, None))
        return self._clock() < until, answer

    def put(self, key: object, answer: T, seconds: float) -> None:
        self._kept.pop(key, None)
        self._kept[key] = (self._clock() + seconds, answer)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
