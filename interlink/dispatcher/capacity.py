"""What hosts offer, and the nodes and host records that follow from it; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from interlink import placement
from interlink.model import quantity
from interlink.model.driver import HostFacts, Taint
from interlink.model.host import Host

DEFAULT_PODS = 110  # the kubelet's own default
_OURS = Taint("virtual-node.interlink/no-schedule", "true", "NoSchedule")
_NODE_LABELS = {  # decisions.md 22
    "kubernetes.io/os": "linux",
    "type": "virtual-kubelet",
    "virtual-node.interlink/type": "virtual-kubelet",
    "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
    "node.kubernetes.io/exclude-from-external-load-balancers": "true",
}


def capacity_of(host: Host, facts: HostFacts | None) -> dict[str, int]:
    """Return what the host has, by its facts unless the inventory's interlink_capacity says otherwise."""
    found: dict[str, int] = {"pods": DEFAULT_PODS}
    if facts is not None:
        found |= facts.gpus
        found |= {} if facts.cpus is None else {"cpu": int(facts.cpus * 1000)}
        found |= {} if facts.memory is None else {"memory": facts.memory}
        found |= {} if facts.pods is None else {"pods": facts.pods}
        # Without it the scheduler would never bind a pod that asks for some; hosts do not account for it.
        disk = (facts.raw.get("disk") or {}).get("total")
        found |= {} if disk is None else {"ephemeral-storage": int(disk)}
    if host.get("interlink_pods") is not None:
        found["pods"] = int(host.get("interlink_pods"))
    stated = host.get("interlink_capacity") or {}
    return found | {str(name): placement.amount(str(name), value) for name, value in stated.items()}


def labels_of(host: Host, facts: HostFacts | None) -> dict[str, str]:
    """Return the labels that tell hosts apart: the inventory's interlink_labels, architecture and system."""
    labels = dict(_NODE_LABELS)
    if facts is not None and facts.arch:
        labels["kubernetes.io/arch"] = facts.arch
    return labels | {str(k): str(v) for k, v in (host.get("interlink_labels") or {}).items()}


def written(amounts: Mapping[str, int]) -> dict[str, str]:
    """Return amounts as Kubernetes writes quantities."""
    return {name: _write(name, value) for name, value in sorted(amounts.items())}


def total(parts: list[dict[str, int]]) -> dict[str, int]:
    summed: Counter[str] = Counter()
    for part in parts:
        summed.update(part)
    return dict(summed)


def node_labels(name: str, hosts: list[Mapping[str, str]]) -> dict[str, str]:
    """Return a node's labels: those that all its hosts share, and what marks a virtual node."""
    shared = dict(hosts[0]) if hosts else {}
    for labels in hosts[1:]:
        shared = {key: value for key, value in shared.items() if labels.get(key) == value}
    return {**shared, **_NODE_LABELS, placement.HOSTNAME: name}


def taints_of(hosts: list[Host]) -> tuple[Taint, ...]:
    """Return our own taint and those that the inventory gives the node, without doubles."""
    stated = [_taint(item) for host in hosts for item in host.get("interlink_taints") or ()]
    return tuple(dict.fromkeys([_OURS, *stated]))


def _taint(item: Any) -> Taint:
    """Read `{key, value, effect}` or kubectl's `key=value:effect`."""
    if isinstance(item, Mapping):
        return Taint(str(item["key"]), str(item.get("value") or ""), str(item.get("effect") or "NoSchedule"))
    left, _, effect = str(item).partition(":")
    key, _, value = left.partition("=")
    return Taint(key, value, effect or "NoSchedule")


def _write(name: str, value: int) -> str:
    if name == "cpu":
        return quantity.format_cpu(Fraction(value, 1000))
    return quantity.format_memory(value) if name == "memory" else str(value)
