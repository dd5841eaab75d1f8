"""What a virtual node says of itself in the Kubernetes API; pure.

The node is created by POST with hardly more than its name; labels and status follow by server-side apply.
So what we stop saying goes, while labels, annotations and conditions of others stay (kubelet.md 1.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from interlink.kubelet import conditions as health
from interlink.kubelet import taints
from interlink.kubelet.conditions import View
from interlink.model import quantity
from interlink.model.driver import NodeRecord, Taint

Json = dict[str, Any]

MANAGER = "interlink-kubelet"  # who applies, in the node's managedFields
KIND_LABEL = "virtual-node.interlink/type"
HOSTNAME, ARCH = "kubernetes.io/hostname", "kubernetes.io/arch"
LABELS = {  # decisions.md 22
    "kubernetes.io/os": "linux",
    "type": "virtual-kubelet",
    KIND_LABEL: "virtual-kubelet",
    "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
    "node.kubernetes.io/exclude-from-external-load-balancers": "true",
}
DROPPED = "the interLink server does not offer this node any more"
_DEFAULT_ARCH = "amd64"


@dataclass(frozen=True)
class Identity:
    """What no host decides. At `address` and `port` the API server finds this node's kubelet API.

    `taint` takes the place of our own no-schedule taint; None leaves it out.
    """

    name: str
    address: str = "127.0.0.1"
    port: int = 10250
    version: str = "v1.0.0-interlink"
    runtime: str = "interlink://0"
    taint: Taint | None = taints.NO_SCHEDULE
    labels: Mapping[str, str] = field(default_factory=dict)


def kubelet_version(server: str, ours: str) -> str:
    """Return our version as the version skew policy reads it: the API server's numbers, then ours.

    >>> kubelet_version("v1.36.3+k3s1", "0.1.0")
    'v1.36.3-interlink-0.1.0'
    """
    numbers = re.match(r"v\d+\.\d+\.\d+", server)
    return f"{numbers.group() if numbers else 'v1.0.0'}-interlink-{ours}"


def registration(identity: Identity, record: NodeRecord | None) -> Json:
    """Return the node as it is created: what a POST has set, an apply can never take back."""
    wanted = taints.wanted(identity.taint, record)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": identity.name,
            "labels": {KIND_LABEL: LABELS[KIND_LABEL]},
            "annotations": {taints.MEMORY: taints.remember(wanted)},
        },
        "spec": {"providerID": f"external:///{identity.name}", "taints": [taints.to_json(taint) for taint in wanted]},
    }


def is_virtual(node: Json) -> bool:
    """Say whether a node is a virtual one, ours or an older virtual kubelet's: no other may be taken over."""
    labels = node["metadata"].get("labels") or {}
    return "virtual-kubelet" in (labels.get(KIND_LABEL), labels.get("type"))


def metadata(identity: Identity, record: NodeRecord | None, current: Json) -> Json:
    """Return the apply of the node's labels."""
    found = (current["metadata"].get("labels") or {}).get(ARCH)
    stated = dict(record.labels) if record else {}
    hostname = identity.name[:63].rstrip("-.")  # a label's value is shorter than a name may be
    arch = stated.get(ARCH) or found or _DEFAULT_ARCH
    labels = {**stated, **identity.labels, **LABELS, ARCH: arch, HOSTNAME: hostname}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": identity.name, "labels": labels}}


def metadata_differs(wanted: Json, current: Json) -> bool:
    """Say whether the apply would change anything: a label is missing, differs, or is ours and not wanted."""
    there = current["metadata"].get("labels") or {}
    labels = wanted["metadata"]["labels"]
    return bool(labels.items() - there.items()) or bool(_applied(current) - labels.keys())


def status(identity: Identity, view: View, current: Json, now: datetime) -> Json:
    """Return the apply of the node's status."""
    found = current.get("status") or {}
    said: Json = {
        "addresses": [
            {"type": "InternalIP", "address": identity.address},
            {"type": "Hostname", "address": identity.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": identity.port}},
        "nodeInfo": _node_info(identity, view.record, found),
        "conditions": health.conditions(view, found, now),
    }
    stated = {"capacity": view.record.capacity, "allocatable": view.record.allocatable} if view.record else {}
    for name in ("capacity", "allocatable"):
        if amounts := dict(stated.get(name) or found.get(name) or {}):  # hosts that are away still have theirs
            said[name] = amounts
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": identity.name}, "status": said}


def status_differs(wanted: Json, current: Json) -> bool:
    """Compare what we say with what stands there; heartbeats are no difference."""
    said, found = wanted["status"], current.get("status") or {}
    info = found.get("nodeInfo") or {}
    return (
        any(not _same_amounts(said.get(name) or {}, found.get(name) or {}) for name in ("capacity", "allocatable"))
        or _pairs(said["addresses"]) != _pairs(found.get("addresses"))
        or said["daemonEndpoints"] != found.get("daemonEndpoints")
        or any(info.get(key) != value for key, value in said["nodeInfo"].items())
        or health.differ(said["conditions"], found.get("conditions"))
    )


def _node_info(identity: Identity, record: NodeRecord | None, found: Json) -> Json:
    known = (found.get("nodeInfo") or {}).get("architecture")
    return {
        **dict.fromkeys(("machineID", "systemUUID", "bootID", "kernelVersion", "kubeProxyVersion"), ""),
        "osImage": "interLink",
        "containerRuntimeVersion": identity.runtime,
        "kubeletVersion": identity.version,
        "operatingSystem": "linux",
        "architecture": (record.labels.get(ARCH) if record else None) or known or _DEFAULT_ARCH,
    }


def _applied(current: Json) -> set[str]:
    """Return the labels that our last apply owns, by the node's managedFields."""
    for entry in current["metadata"].get("managedFields") or ():
        if (entry.get("manager"), entry.get("operation"), entry.get("subresource")) == (MANAGER, "Apply", None):
            labels = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels") or {}
            return {key[2:] for key in labels if key.startswith("f:")}
    return set()


def _same_amounts(said: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Compare as quantities: what is written as "1000" comes back as "1k"."""
    return said.keys() == found.keys() and all(quantity.parse(said[k]) == quantity.parse(found[k]) for k in said)


def _pairs(addresses: Sequence[Json] | None) -> set[tuple[str, str]]:
    return {(item["type"], item["address"]) for item in addresses or ()}
