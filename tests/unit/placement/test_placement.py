"""Where pods go: tables of selectors and demands, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlink.errors import InvalidPod, Unplaced
from interlink.model.pod import Pod
from interlink.model.status import Kind
from interlink.placement import Candidate, demand, demand_of, place

GI = 1 << 30


def pod(node: str = "", requests: Mapping[str, Any] | None = None, **spec: Any) -> Pod:
    container = {"name": "main", "image": "i", "resources": {"requests": requests or {}}}
    return Pod({"metadata": {"uid": "u", "name": "p"}, "spec": {"nodeName": node, "containers": [container], **spec}})


def host(name: str, node: str = "vk", **more: Any) -> Candidate:
    capacity = {"cpu": 4000, "memory": 8 * GI, "pods": 10} | more.pop("capacity", {})
    return Candidate(name, node, capacity=capacity, **more)


def required(*expressions: Mapping[str, Any], **term: Any) -> dict[str, Any]:
    terms = [{"matchExpressions": list(expressions), **term}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def wish(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


# What a pod takes

C = Kind.MAIN
DEMANDS = {
    "nothing": ([(C, {})], {}),
    "one": ([(C, {"cpu": "500m", "memory": "1Gi"})], {"cpu": 500, "memory": GI}),
    "mains side by side": ([(C, {"cpu": "1"}), (C, {"cpu": "0.5"})], {"cpu": 1500}),
    "a large init": ([(Kind.INIT, {"cpu": "3"}), (C, {"cpu": "1"})], {"cpu": 3000}),
    "a small init": ([(Kind.INIT, {"cpu": "1"}), (C, {"cpu": "3"})], {"cpu": 3000}),
    "inits one after another": ([(Kind.INIT, {"cpu": "2"}), (Kind.INIT, {"cpu": "1"}), (C, {})], {"cpu": 2000}),
    "a sidecar adds to mains": ([(Kind.SIDECAR, {"cpu": "1"}), (C, {"cpu": "1"})], {"cpu": 2000}),
    "an init after a sidecar": (
        [(Kind.SIDECAR, {"cpu": "1"}), (Kind.INIT, {"cpu": "2"}), (C, {"cpu": "1"})],
        {"cpu": 3000},
    ),
    "an init before a sidecar": (
        [(Kind.INIT, {"cpu": "2"}), (Kind.SIDECAR, {"cpu": "1"}), (C, {"cpu": "1"})],
        {"cpu": 2000},
    ),
    "GPUs": ([(C, {"nvidia.com/gpu": 2}), (C, {"nvidia.com/gpu": "1"})], {"nvidia.com/gpu": 3}),
}


@pytest.mark.parametrize("case", DEMANDS)
def test_demand(case: str) -> None:
    containers, wanted = DEMANDS[case]
    assert demand(containers) == {"pods": 1, **wanted}


def test_a_limit_stands_in_for_a_request() -> None:
    main = {"name": "m", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}}
    assert demand_of(pod(containers=[main])) == {"pods": 1, "cpu": 1000, "memory": GI}


def test_a_bad_quantity_names_its_container() -> None:
    with pytest.raises(InvalidPod) as caught:
        demand_of(pod(requests={"cpu": "much"}))
    assert caught.value.field == "spec.containers[0].resources"


# Fit

FITS = {
    "room": ({"cpu": "4"}, host("a"), ""),
    "no CPU": ({"cpu": "4.001"}, host("a"), "1 Insufficient cpu"),
    "CPU taken": ({"cpu": "1"}, host("a", load={"cpu": 3001}), "1 Insufficient cpu"),
    "no memory": ({"memory": "9Gi"}, host("a"), "1 Insufficient memory"),
    "both": ({"cpu": "5", "memory": "9Gi"}, host("a"), "1 Insufficient cpu, 1 Insufficient memory"),
    "no GPU at all": ({"nvidia.com/gpu": 1}, host("a"), "1 Insufficient nvidia.com/gpu"),
    "GPU": ({"nvidia.com/gpu": 1}, host("a", capacity={"nvidia.com/gpu": 1}), ""),
    "GPU taken": (
        {"nvidia.com/gpu": 1},
        host("a", capacity={"nvidia.com/gpu": 1}, load={"nvidia.com/gpu": 1}),
        "1 Insufficient nvidia.com/gpu",
    ),
    "no GPU asked for": ({"nvidia.com/gpu": 0}, host("a"), ""),
    "pods": ({}, host("a", load={"pods": 10}), "1 Insufficient pods"),
    "unknown size": ({"cpu": "999", "memory": "999Gi"}, Candidate("a", "vk"), ""),
    "disk is not counted": ({"ephemeral-storage": "1Gi"}, host("a"), ""),
    "away": ({}, host("a", problem="not reachable (no route)"), "1 not reachable (no route)"),
}


@pytest.mark.parametrize("case", FITS)
def test_fit(case: str) -> None:
    requests, candidate, reason = FITS[case]
    if not reason:
        assert place(pod("vk", requests), [candidate]).host == "a"
        return
    with pytest.raises(Unplaced) as caught:
        place(pod("vk", requests), [candidate])
    assert str(caught.value) == f"0/1 hosts fit: {reason}"


def test_reasons_are_counted() -> None:
    hosts = [
        host("a", load={"cpu": 4000}),
        host("b", load={"cpu": 4000}),
        host("c", labels={"disk": "hdd"}),
        host("d", problem="not reachable"),
    ]
    hosts = [Candidate(h.name, h.node, {"disk": "ssd"} | dict(h.labels), h.capacity, h.load, h.problem) for h in hosts]
    with pytest.raises(Unplaced) as caught:
        place(pod("vk", {"cpu": "1"}, nodeSelector={"disk": "ssd"}), hosts)
    assert str(caught.value) == "0/4 hosts fit: 2 Insufficient cpu, 1 node selector or affinity, 1 not reachable"


def test_without_hosts() -> None:
    with pytest.raises(Unplaced, match="no hosts"):
        place(pod(), [])


# Nodes

NODES = [host("a", "one"), host("b", "two"), host("c", "")]


@pytest.mark.parametrize(("node", "wanted"), [("one", "a"), ("two", "b"), ("", "a"), ("three", "a")])
def test_a_pod_goes_to_its_node(node: str, wanted: str) -> None:
    assert place(pod(node), NODES).host == wanted


def test_a_pod_never_leaves_its_node() -> None:
    hosts = [host("a", "one", problem="away"), host("b", "two")]
    with pytest.raises(Unplaced, match="0/1 hosts fit: 1 away"):
        place(pod("one"), hosts)


def test_an_unknown_node_is_warned_about() -> None:
    assert "'three'" in " ".join(place(pod("three"), NODES).warnings)
    assert place(pod("two"), NODES).warnings == ()


# Selectors: of hosts a (disk=ssd, rank=5) and b (disk=hdd), which are chosen?

A = host("a", labels={"disk": "ssd", "rank": "5"})
B = host("b", labels={"disk": "hdd"})
SELECTORS = {
    "In": (wish("disk", "In", "hdd", "tape"), "b"),
    "In, numbers": (wish("rank", "In", 5), "a"),  # type: ignore[arg-type]
    "In, absent": (wish("rank", "In", "4"), ""),
    "NotIn": (wish("disk", "NotIn", "hdd"), "a"),
    "NotIn, absent": (wish("rank", "NotIn", "5"), "b"),
    "Exists": (wish("rank", "Exists"), "a"),
    "DoesNotExist": (wish("rank", "DoesNotExist"), "b"),
    "Gt": (wish("rank", "Gt", "4"), "a"),
    "Gt, equal": (wish("rank", "Gt", "5"), ""),
    "Lt": (wish("rank", "Lt", "6"), "a"),
    "Lt, no number": (wish("disk", "Lt", "6"), ""),
    "Gt, nothing to compare": (wish("rank", "Gt"), ""),
    "unknown operator": (wish("rank", "Near", "5"), ""),
}


@pytest.mark.parametrize("node", ["", "vk"])
@pytest.mark.parametrize("case", SELECTORS)
def test_required_affinity(case: str, node: str) -> None:
    expression, wanted = SELECTORS[case]
    hosts = [host("x", labels={"disk": "x", "rank": "x"}, problem="away"), A, B]
    manifest = pod(node, affinity=required(expression))
    if not wanted:
        with pytest.raises(Unplaced, match="2 node selector"):
            place(manifest, hosts, strict=True)
        return
    assert place(manifest, hosts, strict=True).host == wanted


def test_a_host_has_its_own_name() -> None:
    assert place(pod(affinity=required(wish("kubernetes.io/hostname", "In", "b"))), [A, B], strict=True).host == "b"


def test_terms_are_alternatives_and_their_parts_are_not() -> None:
    both = [wish("disk", "In", "ssd"), wish("rank", "DoesNotExist")]
    with pytest.raises(Unplaced):
        place(pod(affinity=required(*both)), [A, B], strict=True)
    terms = {"nodeSelectorTerms": [{"matchExpressions": both}, {"matchExpressions": [wish("disk", "In", "hdd")]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    assert place(pod(affinity=affinity), [A, B], strict=True).host == "b"


def test_an_empty_term_matches_nothing() -> None:
    with pytest.raises(Unplaced):
        place(pod(affinity=required()), [A, B], strict=True)


def test_a_selector_and_affinity_both_hold() -> None:
    with pytest.raises(Unplaced):
        place(pod(nodeSelector={"disk": "ssd"}, affinity=required(wish("disk", "In", "hdd"))), [A, B], strict=True)


def test_match_fields_is_the_hosts_name_unless_the_scheduler_has_chosen() -> None:
    fields = required(matchFields=[wish("metadata.name", "In", "b")])
    assert place(pod(affinity=fields), [A, B]).host == "b"
    assert place(pod("vk", affinity=required(matchFields=[wish("metadata.name", "In", "vk")])), [A]).host == "a"


def test_with_a_node_only_labels_that_tell_our_hosts_apart_count() -> None:
    """decisions.md 14: the scheduler has judged the node's own labels."""
    selector = {"type": "virtual-kubelet", "kubernetes.io/hostname": "vk", "disk": "hdd"}
    assert place(pod("vk", nodeSelector=selector), [A, B]).host == "b"
    assert place(pod("vk", affinity=required(wish("zone", "In", "x"))), [A, B]).host == "a"
    with pytest.raises(Unplaced):
        place(pod("vk", nodeSelector={"disk": "tape"}), [A, B])
    with pytest.raises(Unplaced):
        place(pod("vk", nodeSelector={"kubernetes.io/hostname": "other"}), [A, B])


def test_without_a_node_a_hopeless_selector_is_a_warning_or_an_error() -> None:
    hopeless = pod(nodeSelector={"disk": "tape"})
    choice = place(hopeless, [A, B])
    assert choice.host == "a"
    assert "nodeSelector" in choice.warnings[0]
    with pytest.raises(Unplaced, match="2 node selector"):
        place(hopeless, [A, B], strict=True)


# Preference and policy


def preferring(*wishes: tuple[int, Mapping[str, Any]]) -> Pod:
    listed = [{"weight": weight, "preference": {"matchExpressions": [expression]}} for weight, expression in wishes]
    return pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": listed}})


def test_the_heavier_wish_wins_over_load() -> None:
    full = host("b", labels={"disk": "hdd"}, load={"cpu": 3000})
    assert place(preferring((10, wish("disk", "In", "hdd"))), [A, full]).host == "b"
    assert place(preferring((10, wish("disk", "In", "hdd")), (20, wish("rank", "Exists"))), [A, full]).host == "a"


def test_spread_and_pack() -> None:
    hosts = [host("a", load={"cpu": 1000}), host("b", load={"cpu": 500}), host("c", load={"memory": 7 * GI})]
    assert place(pod(requests={"cpu": "1"}), hosts).host == "b"
    assert place(pod(requests={"cpu": "1"}), hosts, policy="pack").host == "c"


def test_spread_counts_pods_that_ask_for_nothing() -> None:
    assert place(pod(), [host("a", load={"pods": 2}), host("b", load={"pods": 1})]).host == "b"
    assert place(pod(), [Candidate("a", load={"pods": 2}), Candidate("b", load={"pods": 1})]).host == "b"


amounts = st.fixed_dictionaries({"cpu": st.integers(0, 8000), "memory": st.integers(0, 8), "pods": st.integers(0, 5)})
candidates = st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5).map(
    lambda parts: [Candidate(f"h{i}", "vk", {}, capacity, load) for i, (capacity, load) in enumerate(parts)]
)


@given(candidates, st.integers(0, 9000), st.integers(0, 9), st.sampled_from(["spread", "pack"]), st.randoms())
def test_a_chosen_host_has_room_and_none_is_passed_over(
    hosts: list[Candidate], cpu: int, memory: int, policy: Any, random: Any
) -> None:
    wanted = {"cpu": f"{cpu}m", "memory": str(memory)}
    needs = {"cpu": cpu, "memory": memory, "pods": 1}
    fitting = {h.name for h in hosts if all(h.load[k] + v <= h.capacity[k] or not v for k, v in needs.items())}
    shuffled = list(hosts)
    random.shuffle(shuffled)
    if not fitting:
        with pytest.raises(Unplaced, match=f"0/{len(hosts)} hosts fit"):
            place(pod("vk", wanted), hosts, policy=policy)
        return
    chosen = place(pod("vk", wanted), hosts, policy=policy).host
    assert chosen in fitting
    assert place(pod("vk", wanted), shuffled, policy=policy).host == chosen
