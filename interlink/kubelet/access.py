"""Who asks and what for, as the kubelet's authentication and authorisation see it; pure.

Source: the kubelet's NodeRequestAttributesGetter, with the finer subresources that are GA since 1.36.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SUBRESOURCES = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "checkpoint": ("checkpoint",),
    "pods": ("pods", "proxy"),
    "runningpods": ("pods", "proxy"),
    "healthz": ("healthz", "proxy"),
    "configz": ("configz", "proxy"),
}
_STREAMS = frozenset({"exec", "attach", "run", "portForward", "portforward"})
ALL = "system:authenticated"


@dataclass(frozen=True)
class Caller:
    """Somebody who has shown who they are."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Wish:
    """What is asked of the node: one of these subresources of nodes/<name> must be allowed for the verb."""

    verb: str
    subresources: tuple[str, ...]


def wish(method: str, path: str) -> Wish:
    """Return what a request needs. Streams need `create`, for a WebSocket begins with a GET.

    `path` is the decoded one that requests are routed by.

    >>> wish("GET", "/pods"), wish("GET", "/exec/ns/pod/c")
    (Wish(verb='get', subresources=('pods', 'proxy')), Wish(verb='create', subresources=('proxy',)))
    """
    first = path.lstrip("/").partition("/")[0]
    verb = "create" if first in _STREAMS else _VERBS.get(method, method.lower())
    return Wish(verb, _SUBRESOURCES.get(first, ("proxy",)))


def of_certificate(certificate: Mapping[str, Any] | None, now: float | None = None) -> Caller | None:
    """Return whom a verified client certificate (as `getpeercert` gives it) stands for: CN and all O.

    It was verified when the connection began; None for one that has expired since, or has no CN.
    """
    if not certificate or ssl.cert_time_to_seconds(certificate["notAfter"]) < (time.time() if now is None else now):
        return None
    named = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((value for key, value in named if key == "commonName"), "")
    groups = [value for key, value in named if key == "organizationName"]
    return Caller(name, (*groups, ALL)) if name else None


def bearer(header: str) -> str:
    """Return the token of an Authorization header, or "".

    >>> bearer("Bearer  abc "), bearer("bearer x"), bearer("Basic eDp5"), bearer("Bearer")
    ('abc', 'x', '', '')
    """
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def review(token: str) -> dict[str, Any]:
    """Write a TokenReview."""
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}


def of_review(answer: Mapping[str, Any]) -> Caller | None:
    """Return whom the API server recognised by a token; None if nobody."""
    status = answer.get("status") or {}
    user = status.get("user") or {}
    if status.get("authenticated") is not True or not user.get("username"):
        return None
    extra = tuple((key, tuple(values or ())) for key, values in sorted((user.get("extra") or {}).items()))
    return Caller(user["username"], _with_all(user.get("groups") or ()), user.get("uid") or "", extra)


def access_review(caller: Caller, node: str, verb: str, subresource: str) -> dict[str, Any]:
    """Write a SubjectAccessReview: may the caller do this to the node?"""
    attributes = {"verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": node}
    spec: dict[str, Any] = {"user": caller.name, "groups": list(caller.groups), "resourceAttributes": attributes}
    if caller.uid:
        spec["uid"] = caller.uid
    if caller.extra:
        spec["extra"] = {key: list(values) for key, values in caller.extra}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def is_allowed(answer: Mapping[str, Any]) -> bool:
    """Say whether a SubjectAccessReview was answered with yes; a denial counts more."""
    status = answer.get("status") or {}
    return status.get("allowed") is True and status.get("denied") is not True


def _with_all(groups: Sequence[str]) -> tuple[str, ...]:
    return tuple(groups) if ALL in groups else (*groups, ALL)
