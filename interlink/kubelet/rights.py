"""What a kubelet must be allowed to do in the cluster, and whether it is; deploy/kustomizations/rbac.yaml grants it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interlink.kubelet import paths

if TYPE_CHECKING:
    from interlink.kubelet.kube import Kube

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Right:
    """One verb on one kind of object; without a namespace, in all of them."""

    verb: str
    resource: str
    sub: str = ""
    group: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        kind = f"{self.resource}/{self.sub}" if self.sub else self.resource
        return f"{self.verb} {kind}" + (f" in {self.namespace}" if self.namespace else "")

    @property
    def review(self) -> dict[str, Any]:
        """The SelfSubjectAccessReview that asks for it."""
        attributes = {"verb": self.verb, "resource": self.resource, "subresource": self.sub, "group": self.group}
        spec = {"resourceAttributes": {**attributes, "namespace": self.namespace}}
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}


NEEDED = (
    *(Right(verb, "pods") for verb in ("get", "list", "watch", "delete")),
    Right("patch", "pods", "status"),
    Right("get", "configmaps"),
    Right("get", "secrets"),
    Right("list", "services"),
    Right("create", "serviceaccounts", "token"),
    *(Right(verb, "nodes") for verb in ("create", "get", "patch")),
    Right("patch", "nodes", "status"),
    *(Right(verb, "events") for verb in ("create", "patch")),
    Right("create", "tokenreviews", group="authentication.k8s.io"),
    Right("create", "subjectaccessreviews", group="authorization.k8s.io"),
    *(Right(verb, "certificatesigningrequests", group="certificates.k8s.io") for verb in ("create", "get", "delete")),
    *(
        Right(verb, "leases", group="coordination.k8s.io", namespace="kube-node-lease")
        for verb in ("get", "create", "update")
    ),
)


async def missing(kube: Kube) -> list[Right]:
    """Ask the cluster for all of them at once, and return those that it denies."""
    answers = await asyncio.gather(*(kube.create(_REVIEWS, right.review) for right in NEEDED))
    denied = [not (answer.get("status") or {}).get("allowed") for answer in answers]
    return [right for right, no in zip(NEEDED, denied, strict=True) if no]


async def version(kube: Kube) -> str:
    """Return the API server's version."""
    return str((await kube.get("/version")).get("gitVersion") or "?")


async def ready(kube: Kube, node: str) -> str:
    """Return why a node is not Ready, "" if it is; by name, as a kubelet's account may not list nodes."""
    from interlink.kubelet.kube import ApiError

    try:
        found = await kube.get(paths.path(paths.CORE, "nodes", node))
    except ApiError as error:
        if error.status == 404:
            return "not registered"
        raise
    conditions = {c["type"]: c for c in found.get("status", {}).get("conditions") or []}
    condition = conditions.get("Ready", {})
    return "" if condition.get("status") == "True" else str(condition.get("message") or "not Ready")
