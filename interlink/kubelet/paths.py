"""Paths of the Kubernetes API; pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

CORE = "/api/v1"
LEASES = "/apis/coordination.k8s.io/v1"


def path(group: str, resource: str, name: str = "", *, namespace: str = "", sub: str = "") -> str:
    """Build the path of a resource, of one object, or of its subresource.

    >>> path(CORE, "pods", "web-0", namespace="shop", sub="status")
    '/api/v1/namespaces/shop/pods/web-0/status'
    >>> path(CORE, "nodes")
    '/api/v1/nodes'
    """
    parts = [
        *(["namespaces", namespace] if namespace else []),
        resource,
        *([name] if name else []),
        *([sub] if sub else []),
    ]
    return "/".join([group, *(urllib.parse.quote(part, safe="") for part in parts)])


def with_query(where: str, query: Mapping[str, object]) -> str:
    """Append a query; None is left out, booleans are spelt as JSON's.

    >>> with_query("/api/v1/pods", {"limit": 5, "watch": True, "continue": None})
    '/api/v1/pods?limit=5&watch=true'
    """
    pairs = {name: _text(value) for name, value in query.items() if value is not None}
    return f"{where}?{urllib.parse.urlencode(pairs)}" if pairs else where


def resource(where: str) -> str:
    """Name the kind of resource that a path is about, for counting.

    >>> resource("/api/v1/namespaces/shop/pods/web-0/status"), resource("/api/v1/nodes/n")
    ('pods/status', 'nodes')
    >>> resource("/api/v1/namespaces/shop")
    'namespaces'
    """
    parts = where.partition("?")[0].split("/")[3 if where.startswith("/api/") else 4 :]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return "/".join([*parts[:1], *parts[2:3]])


def pods(namespace: str = "") -> str:
    """All pods, or those of a namespace."""
    return path(CORE, "pods", namespace=namespace)


def pod(namespace: str, name: str) -> str:
    return path(CORE, "pods", name, namespace=namespace)


def pod_status(namespace: str, name: str) -> str:
    return path(CORE, "pods", name, namespace=namespace, sub="status")


def nodes() -> str:
    return path(CORE, "nodes")


def node(name: str) -> str:
    return path(CORE, "nodes", name)


def node_status(name: str) -> str:
    return path(CORE, "nodes", name, sub="status")


def leases(namespace: str) -> str:
    return path(LEASES, "leases", namespace=namespace)


def lease(namespace: str, name: str) -> str:
    return path(LEASES, "leases", name, namespace=namespace)


def events(namespace: str) -> str:
    return path(CORE, "events", namespace=namespace)


def event(namespace: str, name: str) -> str:
    return path(CORE, "events", name, namespace=namespace)


def config_map(namespace: str, name: str) -> str:
    return path(CORE, "configmaps", name, namespace=namespace)


def secret(namespace: str, name: str) -> str:
    return path(CORE, "secrets", name, namespace=namespace)


def services(namespace: str = "") -> str:
    """All services, or those of a namespace."""
    return path(CORE, "services", namespace=namespace)


def service_account_token(namespace: str, account: str) -> str:
    """Where tokens of a service account are requested."""
    return path(CORE, "serviceaccounts", account, namespace=namespace, sub="token")


def token_reviews() -> str:
    return path("/apis/authentication.k8s.io/v1", "tokenreviews")


def subject_access_reviews() -> str:
    return path("/apis/authorization.k8s.io/v1", "subjectaccessreviews")


def signing_requests() -> str:
    return path("/apis/certificates.k8s.io/v1", "certificatesigningrequests")


def signing_request(name: str) -> str:
    return path("/apis/certificates.k8s.io/v1", "certificatesigningrequests", name)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
