"""Reports that keep the Go virtual kubelet safe, whatever a driver says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlink.model.pod import Pod, PodRef
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, Terminated, Waiting
from interlink.model.wire import statuses
from tests.unit.api.go_kubelet import GoKubelet

UID = "12345678-1234-1234-1234-123456789abc"
EXCLUDE = "interlink.eu/disable-offload-containers"
EXCLUDE_INIT = "interlink.eu/disable-offload-init-containers"


def manifest(inits: str = "", mains: str = "main", policy: str = "Never", **annotations: str) -> PodRef:
    """Build a pod; an init's name that begins with `s` is a native sidecar."""
    init = [{"name": n, "image": "i", **({"restartPolicy": "Always"} if n[0] == "s" else {})} for n in inits.split()]
    raw = {
        "metadata": {"name": "p1", "namespace": "default", "uid": UID, "annotations": annotations},
        "spec": {
            "restartPolicy": policy,
            "initContainers": init,
            "containers": [{"name": n, "image": "i"} for n in mains.split()],
        },
    }
    return PodRef.of(Pod(raw))


def status(phase: Phase, **states: Any) -> PodStatus:
    return PodStatus(UID, phase=phase, containers=tuple(ContainerStatus(n, state=s) for n, s in states.items()))


def report(ref: PodRef, seen: PodStatus) -> dict[str, Any]:
    [only] = statuses.contract_statuses([ref], [seen])
    return only


def shown(items: list[dict[str, Any]] | None) -> list[Any]:
    """Return each container's state: its exit code, or the name of the state."""
    return [
        item["state"]["terminated"]["exitCode"] if "terminated" in item["state"] else next(iter(item["state"]))
        for item in items or []
    ]


DONE, FAILED, RUN, WAIT = Terminated(0), Terminated(3, "Error"), Running(), Waiting()

CASES = {
    # rule 1: every container, every time
    "nothing is known yet": (manifest("i", "a b"), status(Phase.PENDING), ["waiting"], ["waiting", "waiting"]),
    "one is missing": (manifest(mains="a b"), status(Phase.RUNNING, a=RUN), [], ["running", "waiting"]),
    "one is missing from an ended pod": (manifest(mains="a b"), status(Phase.SUCCEEDED, a=DONE), [], [0, 0]),
    "one is missing from a failed pod": (manifest(mains="a b"), status(Phase.FAILED, a=FAILED), [], [3, 0]),
    # rule 2: containers that were never offloaded
    "excluded, alive": (
        manifest(mains="a x", **{EXCLUDE: "x"}),
        status(Phase.RUNNING, a=RUN),
        [],
        ["running", "waiting"],
    ),
    "excluded, ended": (manifest(mains="a x", **{EXCLUDE: "y, x"}), status(Phase.SUCCEEDED, a=DONE), [], [0, 0]),
    "excluded init": (manifest("x", "a", **{EXCLUDE_INIT: "x"}), status(Phase.RUNNING, a=RUN), [0], ["running"]),
    # rule 3: nobody else
    "a stranger": (manifest(mains="a"), status(Phase.RUNNING, a=RUN, z=RUN), [], ["running"]),
    # rule 6: a failed init ends everything
    "failed init": (
        manifest("i j", "a b"),
        status(Phase.FAILED, i=FAILED, j=WAIT, a=WAIT, b=WAIT),
        [3, 0],
        [0, 0],
    ),
    "failed init, to be repeated": (
        manifest("i", "a", "OnFailure"),
        status(Phase.PENDING, i=FAILED, a=WAIT),
        ["waiting"],
        ["waiting"],
    ),
    # rule 7: native sidecars
    "running sidecar": (manifest("s i", "a"), status(Phase.RUNNING, s=RUN, i=DONE, a=RUN), [0, 0], ["running"]),
    "starting sidecar": (manifest("s i", "a"), status(Phase.PENDING, s=WAIT), ["waiting", "waiting"], ["waiting"]),
    "failed sidecar of a good pod": (manifest("s", "a"), status(Phase.SUCCEEDED, s=FAILED, a=DONE), [0], [0]),
    "restarting sidecar": (manifest("s", "a"), status(Phase.RUNNING, s=WAIT, a=RUN), [0], ["running"]),
    # rule 8: never an earlier one open and a later one ended
    "inits out of order": (manifest("i j", "a"), status(Phase.PENDING, i=RUN, j=DONE), [0, 0], ["waiting"]),
    # rule 9: what will be restarted has not ended
    "to be restarted": (manifest(mains="a", policy="Always"), status(Phase.RUNNING, a=DONE), [], ["waiting"]),
    "restart on failure": (
        manifest(mains="a b", policy="OnFailure"),
        status(Phase.RUNNING, a=FAILED, b=DONE),
        [],
        ["waiting", 0],
    ),
    # a pod that failed without a failing container must still fail
    "never launched": (
        manifest(mains="a b"),
        replace(status(Phase.FAILED), reason="PodFeatureUnsupported", message="spec.x: no"),
        [],
        [1, 1],
    ),
    "deadline met by well-behaved containers": (manifest(), status(Phase.FAILED, main=DONE), [], [1]),
}


@pytest.mark.parametrize(("ref", "seen", "inits", "mains"), CASES.values(), ids=CASES.keys())
def test_rules(ref: PodRef, seen: PodStatus, inits: list[Any], mains: list[Any]) -> None:
    told = report(ref, seen)
    assert (shown(told["initContainers"]), shown(told["containers"])) == (inits, mains)


def test_why_a_pod_failed_survives_in_the_messages() -> None:
    seen = replace(status(Phase.FAILED), reason="PodFeatureUnsupported", message="spec.x: no")
    [container] = report(manifest(), seen)["containers"]
    assert container["state"]["terminated"]["message"] == "PodFeatureUnsupported: spec.x: no"


def test_entries_are_complete() -> None:
    [container] = report(manifest(), status(Phase.RUNNING, main=Running(datetime(2026, 1, 1, tzinfo=timezone.utc))))[
        "containers"
    ]
    assert container == {
        "name": "main",
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": "i",
        "imageID": "i",
    }
    assert report(manifest(), status(Phase.PENDING))["initContainers"] is None


def test_only_known_ones_in_the_order_asked() -> None:
    other = replace(manifest(), uid="other")
    assert statuses.contract_statuses([other, manifest()], [status(Phase.PENDING)])[0]["UID"] == UID
    assert statuses.contract_statuses([other], [status(Phase.PENDING)]) == []
    assert len(statuses.contract_statuses(None, [status(Phase.PENDING)])) == 1


def test_a_pod_asked_by_identity_alone_is_reported_as_seen() -> None:
    told = report(PodRef(UID, "default", "p1"), status(Phase.RUNNING, a=RUN))
    assert (told["name"], shown(told["containers"])) == ("p1", ["running"])


@pytest.mark.parametrize("name", ["status-running", "status-failed"])
def test_the_examples_of_the_reference_come_back_as_they_were(name: str, example: Any) -> None:
    value = example(name)
    ref = PodRef.of(Pod(example("status-request")[0]))
    again = statuses.contract_statuses([ref], statuses.contract_status(value))
    for side in ("containers", "initContainers"):
        for item in value[0][side]:
            if "terminated" in item["state"]:
                item["state"]["terminated"].setdefault("reason", "Completed")
    assert again == value


def test_replies_of_old_plugins_in_snake_case() -> None:
    value = [
        {
            "name": "p",
            "UID": UID,
            "JID": 42,
            "containers": [
                {"name": "a", "restart_count": 1, "state": {"terminated": {"exit_code": 3, "finished_at": "never"}}}
            ],
        }
    ]
    [seen] = statuses.contract_status(value)
    assert (seen.jid, seen.phase, seen.containers[0].restart_count) == ("42", Phase.FAILED, 1)
    assert seen.containers[0].state == Terminated(3)


STATES = st.sampled_from([DONE, FAILED, RUN, WAIT, None])
NAMES = st.lists(st.sampled_from("ij s t k".replace(" ", "")), max_size=3, unique=True)


@st.composite
def reports(draw: st.DrawFn) -> tuple[PodRef, list[PodStatus]]:
    inits, mains = draw(NAMES), draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
    excluded = draw(st.lists(st.sampled_from([*inits, *mains]), max_size=2))
    annotations = {EXCLUDE: ",".join(excluded), EXCLUDE_INIT: ",".join(excluded)}
    ref = manifest(
        " ".join(inits), " ".join(mains), draw(st.sampled_from(["Always", "OnFailure", "Never"])), **annotations
    )
    seen = []
    for _ in range(draw(st.integers(1, 4))):
        states = {name: draw(STATES) for name in [*inits, *mains]}
        states = {name: state for name, state in states.items() if state is not None}
        seen.append(status(draw(st.sampled_from(list(Phase))), **states))
    return ref, seen


@given(reports())
def test_no_report_makes_the_go_kubelet_panic_and_ends_are_told_right(case: tuple[PodRef, list[PodStatus]]) -> None:
    ref, seen = case
    kubelet = GoKubelet([item.name for item in Pod(ref.raw).containers if item.kind is Kind.MAIN])
    for one in seen:
        before = kubelet.phase
        kubelet.see(json.loads(json.dumps(statuses.contract_statuses([ref], [one]))))
        if before in ("Succeeded", "Failed"):
            assert kubelet.phase == before
        elif one.terminal:
            assert kubelet.phase == one.phase.value
        elif Pod(ref.raw).restart_policy == "Always":
            assert kubelet.phase in ("Pending", "Running")
