"""Service account tokens for pods, by TokenRequest: bound to the pod, renewed long before they expire."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from interlink.errors import InterlinkError
from interlink.kubelet import paths
from interlink.kubelet.kube import ApiError, Kube
from interlink.model.pod import Json, Pod
from interlink.model.wire import gojson

DEFAULT_SECONDS = 3600
RENEW_AT = 0.8  # of a token's life,
RENEW_SECONDS = 24 * 3600.0  # and never later than this


class TokenRefused(InterlinkError):
    """The API server gives no such token, now."""

    retry = True


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float = 0.0  # time.monotonic


class Tokens:
    """Tokens in use, by pod, volume and path."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._tokens: dict[str, dict[tuple[str, str], _Token]] = {}

    async def get(self, pod: Pod, volume: str, source: Json) -> str:
        """Return a token as a projected volume asks for it: a new one where the last is to be renewed."""
        mine = self._tokens.setdefault(pod.uid, {})
        key = (volume, str(source["path"]))
        known = mine.get(key)
        if known is None or time.monotonic() >= known.renew_at:
            mine[key] = await self._request(pod, source)
        return mine[key].value

    def due(self, uid: str) -> float | None:
        """Return in how many seconds the first token of a pod is to be renewed; None: it has none."""
        mine = self._tokens.get(uid)
        if not mine:
            return None
        return max(0.0, min(token.renew_at for token in mine.values()) - time.monotonic())

    def forget(self, uid: str) -> None:
        self._tokens.pop(uid, None)

    async def _request(self, pod: Pod, source: Json) -> _Token:
        account = str(pod.spec.get("serviceAccountName") or "default")
        asked_at = time.monotonic()
        try:
            answer = await self._kube.create(
                paths.service_account_token(pod.namespace, account), token_request(pod, source)
            )
        except ApiError as error:
            raise TokenRefused(error.message) from error
        status = answer["status"]
        return _Token(status["token"], asked_at + renewal(answer, datetime.now(timezone.utc)))


def token_request(pod: Pod, source: Json) -> dict[str, Any]:
    """Return the TokenRequest for a projected token; an audience only if the volume names one."""
    spec: dict[str, Any] = {
        "expirationSeconds": int(source.get("expirationSeconds") or DEFAULT_SECONDS),
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid},
    }
    if source.get("audience"):
        spec["audiences"] = [source["audience"]]
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}


def renewal(answer: Mapping[str, Any], now: datetime) -> float:
    """Return after how many seconds a token is to be renewed, by what its status says."""
    expires = gojson.parse_time(answer["status"]["expirationTimestamp"])
    life = (expires - now).total_seconds() if expires else DEFAULT_SECONDS
    return max(1.0, min(RENEW_AT * life, RENEW_SECONDS))
