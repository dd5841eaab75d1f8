"""Which host takes a pod: by what it asks for and what the hosts have left; pure.

Amounts are whole numbers: `cpu` in millicores, `memory` in bytes, `pods` and everything else in pieces.
The rules for selectors are decisions.md 14; fit is the Kubernetes scheduler's NodeResourcesFit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from interlink.errors import InvalidPod, Unplaced
from interlink.model import quantity
from interlink.model.pod import Pod
from interlink.model.status import Kind

HOSTNAME = "kubernetes.io/hostname"
Policy = Literal["spread", "pack"]
Amounts = Mapping[str, int]

# What Kubernetes always lets a container ask for, although our hosts do not account for it.
_UNCOUNTED = frozenset({"ephemeral-storage"})


@dataclass(frozen=True)
class Candidate:
    """A host as placement sees it. A resource missing from `capacity` is unlimited if it is cpu, memory or pods."""

    name: str
    node: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: Amounts = field(default_factory=dict)
    load: Amounts = field(default_factory=dict)
    problem: str = ""  # why it takes no pods at all at present


@dataclass(frozen=True)
class Choice:
    """The host chosen, and what the user should be told about it."""

    host: str
    warnings: tuple[str, ...] = ()


def amount(resource: str, value: str) -> int:
    """Return a request as placement counts it; QuantityError if it is no quantity."""
    return quantity.millicores(value) if resource == "cpu" else quantity.to_bytes(value)


def demand(containers: Iterable[tuple[Kind, Mapping[str, Any]]]) -> dict[str, int]:
    """Return what a pod takes from its host, `pods` included, as the scheduler computes it.

    Mains and sidecars run side by side; an init runs with the sidecars that started before it.
    Source: k8s.io/component-helpers, resource.PodRequests.
    """
    steady: Counter[str] = Counter()
    sidecars: Counter[str] = Counter()
    peak: dict[str, int] = {}
    for kind, requests in containers:
        wanted = {str(name): amount(str(name), str(value)) for name, value in requests.items()}
        if kind is Kind.INIT:
            for name, value in wanted.items():
                peak[name] = max(peak.get(name, 0), value + sidecars[name])
            continue
        steady.update(wanted)
        if kind is Kind.SIDECAR:
            sidecars.update(wanted)
    names = steady.keys() | peak.keys()
    return {"pods": 1, **{name: max(steady[name], peak.get(name, 0)) for name in names}}


def demand_of(pod: Pod) -> dict[str, int]:
    """Return the demand of a manifest; InvalidPod names the container whose request is no quantity."""
    for container in pod.containers:
        try:
            demand([(container.kind, container.requests)])
        except quantity.QuantityError as error:
            raise InvalidPod(str(error), field=f"{container.path}.resources") from error
    return demand((c.kind, c.requests) for c in pod.containers)


def group_of(pod: Pod, hosts: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the hosts that may be asked: those of the pod's node, or all if it has none that we know."""
    mine = [host for host in hosts if pod.node_name and host.node == pod.node_name]
    return mine or hosts


def place(pod: Pod, hosts: Sequence[Candidate], *, policy: Policy = "spread", strict: bool = False) -> Choice:
    """Choose a host; Unplaced says why none fits, a count for each reason. The same input gives the same host.

    `strict` keeps a pod without nodeName waiting if no host satisfies its selector; else that is a warning.
    """
    group = group_of(pod, hosts)
    if not group:
        raise Unplaced("there are no hosts")
    selectable, warnings = _selectable(pod, group, strict=strict)
    wanted = demand_of(pod)
    refusals: Counter[str] = Counter()
    fitting = []
    for host in group:
        reasons = _reasons(host, wanted, selectable)
        refusals.update(reasons)
        if not reasons:
            fitting.append(host)
    if not fitting:
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(refusals.items()))
        raise Unplaced(f"0/{len(group)} hosts fit: {listed}")
    sign = -1 if policy == "pack" else 1
    best = min(fitting, key=lambda h: (-_preference(pod, h, group), sign * _fullness(h, wanted), h.name))
    return Choice(best.name, (*_unknown_node(pod, group), *warnings))


def _unknown_node(pod: Pod, group: Sequence[Candidate]) -> tuple[str, ...]:
    if not pod.node_name or any(host.node == pod.node_name for host in group):
        return ()
    return (f"no group of the inventory is node {pod.node_name!r}; any host may take its pods",)


def _selectable(pod: Pod, group: Sequence[Candidate], *, strict: bool) -> tuple[set[str], tuple[str, ...]]:
    chosen = {host.name for host in group if _selected(pod, host, group)}
    if chosen or pod.node_name or strict:
        return chosen, ()
    return {host.name for host in group}, (
        "no host satisfies the pod's nodeSelector and node affinity; they are ignored",
    )


def _reasons(host: Candidate, wanted: Amounts, selectable: Collection[str]) -> list[str]:
    if host.problem:
        return [host.problem]
    if host.name not in selectable:
        return ["node selector or affinity"]
    return [f"Insufficient {name}" for name in sorted(wanted) if not _fits(host, name, wanted[name])]


def _fits(host: Candidate, name: str, value: int) -> bool:
    if value == 0 or name in _UNCOUNTED:
        return True
    if name not in host.capacity:
        return name in ("cpu", "memory", "pods")
    return host.load.get(name, 0) + value <= host.capacity[name]


def _fullness(host: Candidate, wanted: Amounts) -> float:
    """Return how full the host's fullest resource would be with the pod, 0 to 1."""
    shares = [
        (host.load.get(name, 0) + wanted.get(name, 0)) / host.capacity[name]
        for name in sorted({"cpu", "memory", "pods", *wanted})
        if host.capacity.get(name)
    ]
    return max(shares, default=float(host.load.get("pods", 0)))


# Selectors (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/)


def _selected(pod: Pod, host: Candidate, group: Sequence[Candidate]) -> bool:
    sees = _sight(pod, host, group)
    selector = pod.spec.get("nodeSelector") or {}
    if not all(sees({"key": key, "operator": "In", "values": [value]}) for key, value in selector.items()):
        return False
    terms = (_node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    return not terms or any(_term(term, sees, pod, host) for term in terms)


def _preference(pod: Pod, host: Candidate, group: Sequence[Candidate]) -> int:
    sees = _sight(pod, host, group)
    wishes = _node_affinity(pod).get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return sum(int(w.get("weight") or 0) for w in wishes if _term(w.get("preference") or {}, sees, pod, host))


def _node_affinity(pod: Pod) -> Mapping[str, Any]:
    return (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}


_Sees = Callable[[Mapping[str, Any]], bool]


def _sight(pod: Pod, host: Candidate, group: Sequence[Candidate]) -> _Sees:
    """Return the judge of one label expression for one host.

    The scheduler has judged the node's labels already for a pod with nodeName, so only keys that tell
    our hosts apart count for it.
    """
    labels = {**host.labels, HOSTNAME: pod.node_name or host.name}
    known = {HOSTNAME, *(key for other in group for key in other.labels)}
    return lambda wish: bool(pod.node_name and wish.get("key") not in known) or _matches(wish, labels)


def _term(term: Mapping[str, Any], sees: _Sees, pod: Pod, host: Candidate) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False  # an empty term matches nothing
    names = {"metadata.name": host.name}
    return all(map(sees, expressions)) and (bool(pod.node_name) or all(_matches(f, names) for f in fields))


def _matches(wish: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    test = _OPERATORS.get(str(wish.get("operator")))
    value = labels.get(str(wish.get("key")))
    return test is not None and test(None if value is None else str(value), [str(v) for v in wish.get("values") or []])


def _compare(value: str, bounds: Sequence[str]) -> int:
    """Return the sign of value - bound for whole numbers, 0 where they are none."""
    try:
        difference = int(value) - int(bounds[0])
    except (ValueError, IndexError):
        return 0
    return (difference > 0) - (difference < 0)


_OPERATORS: Mapping[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
    "Gt": lambda value, values: value is not None and _compare(value, values) > 0,
    "Lt": lambda value, values: value is not None and _compare(value, values) < 0,
}
