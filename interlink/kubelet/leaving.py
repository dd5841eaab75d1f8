"""A node leaves: drained of its pods, and removed from the cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from interlink.errors import DeadlineExceeded, InputError, NotFound
from interlink.kubelet import nodeobject, paths
from interlink.kubelet.kube import ApiError, Kube
from interlink.kubelet.lease import NAMESPACE
from interlink.model.wire import gojson

Json = dict[str, Any]
Say = Callable[[str], None]

LOOK_SECONDS = 1.0


async def drain(kubeconfig: str | None, node: str, timeout: float, say: Say) -> None:
    """Cordon a node, evict its pods and wait until they are gone; DeadlineExceeded names those that stay.

    Pods of DaemonSets and mirror pods stay, as with `kubectl drain`.
    """
    async with await Kube.connect(kubeconfig) as kube:
        await _node(kube, node)
        await kube.patch(paths.node(node), {"spec": {"unschedulable": True}}, "merge")
        say(f"{node} is cordoned")
        until = time.monotonic() + timeout
        asked: set[str] = set()
        while pods := [pod for pod in await _pods(kube, node) if _leaves(pod)]:
            for pod in pods:
                if pod["metadata"]["uid"] not in asked and await _evicted(kube, pod):
                    asked.add(pod["metadata"]["uid"])
                    say(f"evicted {_name(pod)}")
            if time.monotonic() > until:
                raise DeadlineExceeded(f"still on {node}: {', '.join(sorted(map(_name, pods)))}")
            await asyncio.sleep(LOOK_SECONDS)
        say(f"{node} is drained")


async def forget(kubeconfig: str | None, node: str, say: Say, *, force: bool = False) -> None:
    """Delete a node with its Leases; InputError while it has pods or is served, unless forced."""
    async with await Kube.connect(kubeconfig) as kube:
        found = await _node(kube, node)
        if not force:
            if pods := [_name(pod) for pod in await _pods(kube, node)]:
                raise InputError(f"{node} has {len(pods)} pods ({pods[0]} ...); drain it first, or give --force")
            if await _served(kube, node) and not _dropped(found):
                raise InputError(
                    f"a kubelet serves {node}; stop it, take the node out of the inventory, or give --force"
                )
        await kube.delete(paths.node(node), {"preconditions": {"uid": found["metadata"]["uid"]}})
        for name in (node, f"interlink-{node}"):
            try:
                await kube.delete(paths.lease(NAMESPACE, name))
            except ApiError as error:
                if not error.missing and error.status != 403:  # the node's own goes with the node
                    raise
        say(f"{node} is forgotten")


async def _node(kube: Kube, name: str) -> Json:
    try:
        node = await kube.get(paths.node(name))
    except ApiError as error:
        if error.missing:
            raise NotFound(f"the cluster has no node {name!r}") from error
        raise
    if not nodeobject.is_virtual(node):
        raise InputError(f"{name} is no virtual node; use kubectl")
    return node


async def _pods(kube: Kube, node: str) -> list[Json]:
    found = await kube.get(paths.pods(), fieldSelector=f"spec.nodeName={node}")
    return found.get("items") or []


def _leaves(pod: Json) -> bool:
    """Say whether a drain has to do with a pod."""
    metadata = pod["metadata"]
    owners = {owner["kind"] for owner in metadata.get("ownerReferences") or ()}
    mirror = "kubernetes.io/config.mirror" in (metadata.get("annotations") or {})
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") and not metadata.get("deletionTimestamp")
    return not (mirror or ended or "DaemonSet" in owners)


async def _evicted(kube: Kube, pod: Json) -> bool:
    """Ask for an eviction; False while a disruption budget forbids it."""
    metadata = pod["metadata"]
    where = f"{paths.pod(metadata['namespace'], metadata['name'])}/eviction"
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        "deleteOptions": {"preconditions": {"uid": metadata["uid"]}},
    }
    try:
        await kube.create(where, body, timeout=LOOK_SECONDS * 5)
    except ApiError as error:
        if error.refused_for_now:
            return False
        if not error.missing and not error.conflict:
            raise
    return True


async def _served(kube: Kube, node: str) -> bool:
    """Say whether a kubelet leads the node, by its Lease and this machine's clock."""
    try:
        lease = await kube.get(paths.lease(NAMESPACE, f"interlink-{node}"))
    except ApiError as error:
        if error.missing:
            return False
        raise
    spec = lease.get("spec") or {}
    renewed = gojson.parse_time(str(spec.get("renewTime") or gojson.ZERO_TIME))
    if not spec.get("holderIdentity") or renewed is None:
        return False
    age = (datetime.now(timezone.utc) - renewed).total_seconds()
    return age < 2 * float(spec.get("leaseDurationSeconds") or 0)


def _dropped(node: Json) -> bool:
    """Say whether its kubelet has told that the server does not offer the node any more."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(
        item["type"] == "InterlinkConnectivity" and item.get("message") == nodeobject.DROPPED for item in conditions
    )


def _name(pod: Json) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
