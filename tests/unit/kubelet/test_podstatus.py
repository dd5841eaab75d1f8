"""A pod's status as a real kubelet shows it; the expectations are recorded outcomes of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from interlink.kubelet import podstatus
from interlink.kubelet.podstatus import Held, Here
from interlink.kubelet.statuspatch import patch
from interlink.model.driver import PodRecord
from interlink.model.status import (
    ContainerStatus,
    Kind,
    Phase,
    PodStatus,
    Running,
    State,
    Terminated,
    Waiting,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
LATER = datetime(2026, 1, 2, 3, 5, 0, tzinfo=timezone.utc)
HERE = Here(NOW, "192.0.2.1")
OK, BAD = Terminated(0, "Completed", container_id="docker://ok"), Terminated(42, "Error", container_id="docker://bad")
RUNNING = Running(NOW)
INITIALIZING = Waiting("PodInitializing")

Containers = dict[str, State | tuple[Kind, State]]


def pod(containers: Containers, **status: Any) -> dict[str, Any]:
    """Return an API pod whose containers have these names and kinds."""
    inits = [{"name": name, "image": "i", **_always(item)} for name, item in containers.items() if _is_init(item)]
    mains = [{"name": name, "image": "i"} for name, item in containers.items() if not _is_init(item)]
    spec = {"containers": mains, **({"initContainers": inits} if inits else {})}
    metadata = {"name": "p", "namespace": "n", "uid": "u", "generation": 3}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending", **status}}


def _is_init(item: Any) -> bool:
    return isinstance(item, tuple)


def _always(item: Any) -> dict[str, str]:
    return {"restartPolicy": "Always"} if item[0] is Kind.SIDECAR else {}


def job(containers: Containers, phase: Phase, **status: Any) -> PodRecord:
    seen = []
    for name, item in containers.items():
        kind, state = item if isinstance(item, tuple) else (Kind.MAIN, item)
        alive = isinstance(state, Running)
        identity = "" if isinstance(state, Waiting) else f"docker://{name}"
        seen.append(ContainerStatus(name, kind, "i", container_id=identity, state=state, ready=alive, started=alive))
    seen.sort(key=lambda container: container.kind is Kind.MAIN)
    known = PodStatus("u", "n", "p", phase=phase, containers=tuple(seen), pod_ip="10.0.0.9", host_ip="192.0.2.7")
    return PodRecord("u", "n", "p", "vk", "h", "run", replace(known, **status))


def told(status: Any) -> dict[str, str]:
    """Return the conditions in brief: their letters are Initialized, Ready, ContainersReady, Scheduled, Sandbox."""
    return {item["type"]: item["status"] for item in status["conditions"]}


def conditions(initialized: str, ready: str, sandbox: str) -> dict[str, str]:
    both = dict.fromkeys(("Ready", "ContainersReady"), ready)
    return {**both, "Initialized": initialized, "PodReadyToStartContainers": sandbox, "PodScheduled": "True"}


DONE, UP, DOWN = conditions("True", "False", "False"), conditions("True", "True", "True"), "False"
STARTING = conditions("True", "False", "True")

CASES: list[tuple[str, Containers, Phase, dict[str, str]]] = [
    ("succeeded", {"c": OK}, Phase.SUCCEEDED, DONE),
    ("failed", {"c": BAD}, Phase.FAILED, DONE),
    ("running", {"c": RUNNING}, Phase.RUNNING, UP),
    ("one of two has ended", {"c": RUNNING, "d": OK}, Phase.RUNNING, STARTING),
    ("image missing", {"c": Waiting("ImagePullBackOff")}, Phase.PENDING, STARTING),
    ("restarting", {"c": Waiting("CrashLoopBackOff")}, Phase.RUNNING, STARTING),
    (
        "an init runs",
        {"i": (Kind.INIT, RUNNING), "c": INITIALIZING},
        Phase.PENDING,
        conditions("False", "False", "True"),
    ),
    (
        "an init has failed for good: the rest goes on waiting",
        {"ok": (Kind.INIT, OK), "bad": (Kind.INIT, BAD), "later": (Kind.INIT, INITIALIZING), "c": INITIALIZING},
        Phase.FAILED,
        conditions("False", "False", "False"),
    ),
    ("inits are done", {"i": (Kind.INIT, OK), "c": RUNNING}, Phase.RUNNING, UP),
    ("a sidecar runs", {"s": (Kind.SIDECAR, RUNNING), "c": RUNNING}, Phase.RUNNING, UP),
    (
        "a sidecar has yet to start",
        {"s": (Kind.SIDECAR, INITIALIZING), "c": INITIALIZING},
        Phase.PENDING,
        conditions("False", "False", "True"),
    ),
    ("sidecars end last", {"s": (Kind.SIDECAR, BAD), "c": OK}, Phase.SUCCEEDED, DONE),
]


@pytest.mark.parametrize(("containers", "phase", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_conditions(containers: Containers, phase: Phase, expected: dict[str, str]) -> None:
    status = podstatus.reported(pod(containers), job(containers, phase), HERE)
    assert status is not None
    assert status["phase"] == phase.value
    assert told(status) == expected


def test_containers_are_sorted_by_name_and_complete() -> None:
    containers: Containers = {"z": RUNNING, "a": OK, "i2": (Kind.INIT, OK), "i1": (Kind.INIT, BAD)}
    status = podstatus.reported(pod(containers), job({"z": RUNNING, "i2": (Kind.INIT, OK)}, Phase.RUNNING), HERE)
    assert status is not None
    assert [c["name"] for c in status["containerStatuses"]] == ["a", "z"]
    assert [c["name"] for c in status["initContainerStatuses"]] == ["i2", "i1"]
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_the_containers_of_a_pod_share_the_room_for_their_messages() -> None:
    long = Terminated(1, "Error", "0é" * 3000)
    for names, size in (("abcd", 3072), ("c", 9000)):
        containers: Containers = dict.fromkeys(names, long)
        seen = job(containers, Phase.RUNNING)
        twice = tuple(replace(c, last_state=long) for c in seen.status.containers)
        status = podstatus.reported(pod(containers), replace(seen, status=replace(seen.status, containers=twice)), HERE)
        assert status is not None
        found = [c[key]["terminated"]["message"] for c in status["containerStatuses"] for key in ("state", "lastState")]
        assert [len(message.encode()) for message in found] == [size] * 2 * len(names)


def test_what_else_a_status_holds() -> None:
    containers: Containers = {"i": (Kind.INIT, OK), "c": RUNNING}
    status = podstatus.reported(pod(containers), job(containers, Phase.RUNNING), HERE)
    assert status is not None
    [init], [main] = status["initContainerStatuses"], status["containerStatuses"]
    assert (init["ready"], init["started"], main["ready"], main["started"]) == (True, False, True, True)
    assert (status["podIP"], status["podIPs"]) == ("10.0.0.9", [{"ip": "10.0.0.9"}])
    assert (status["hostIP"], status["hostIPs"]) == ("192.0.2.7", [{"ip": "192.0.2.7"}])
    assert (status["startTime"], status["observedGeneration"]) == ("2026-01-02T03:04:05Z", 3)
    assert "qosClass" not in status


def test_messages_of_conditions_are_the_kubelets() -> None:
    containers: Containers = {"i": (Kind.INIT, RUNNING), "b": INITIALIZING, "a": INITIALIZING}
    status = podstatus.reported(pod(containers), job(containers, Phase.PENDING), HERE)
    assert status is not None
    found = {item["type"]: (item.get("reason"), item.get("message")) for item in status["conditions"]}
    assert found["Initialized"] == ("ContainersNotInitialized", "containers with incomplete status: [i]")
    assert found["Ready"] == found["ContainersReady"]
    assert found["Ready"] == ("ContainersNotReady", "containers with unready status: [b a]")


def test_times_of_conditions_are_kept_while_nothing_changes() -> None:
    containers: Containers = {"c": RUNNING}
    first = podstatus.reported(pod(containers), job(containers, Phase.RUNNING), HERE)
    assert first is not None
    known = pod(containers, **first)
    later = podstatus.reported(known, job({"c": OK}, Phase.SUCCEEDED), Here(LATER))
    assert later is not None
    times = {item["type"]: item["lastTransitionTime"] for item in later["conditions"]}
    changed = {kind for kind, time in times.items() if time == "2026-01-02T03:05:00Z"}
    assert changed == {"Ready", "ContainersReady", "PodReadyToStartContainers"}
    assert later["startTime"] == first["startTime"]


def test_readiness_gates() -> None:
    containers: Containers = {"c": RUNNING}
    gated = pod(containers)
    gated["spec"]["readinessGates"] = [{"conditionType": "x/y"}]
    closed = podstatus.reported(gated, job(containers, Phase.RUNNING), HERE)
    assert closed is not None
    assert (told(closed)["Ready"], told(closed)["ContainersReady"]) == ("False", "True")
    gated["status"]["conditions"] = [{"type": "x/y", "status": "True"}]
    opened = podstatus.reported(gated, job(containers, Phase.RUNNING), HERE)
    assert opened is not None
    assert told(opened)["Ready"] == "True"


def test_a_host_that_is_away_says_nothing() -> None:
    containers: Containers = {"c": RUNNING}
    assert podstatus.reported(pod(containers), job(containers, Phase.UNKNOWN), HERE) is None


@pytest.mark.parametrize("address", ["", "host.example", "10.0.0.300"])
def test_what_is_no_address_is_left_out(address: str) -> None:
    containers: Containers = {"c": RUNNING}
    status = podstatus.reported(pod(containers), job(containers, Phase.RUNNING, pod_ip=address, host_ip=address), HERE)
    assert status is not None
    assert "podIP" not in status
    assert status["hostIP"] == "192.0.2.1"


def test_a_pod_that_waits_for_something() -> None:
    containers: Containers = {"i": (Kind.INIT, INITIALIZING), "c": INITIALIZING}
    status = podstatus.held(pod(containers), Held({"c": ("CreateContainerConfigError", "no such key")}), HERE)
    waits = {"reason": "CreateContainerConfigError", "message": "no such key"}
    assert status["containerStatuses"][0]["state"] == {"waiting": waits}
    assert status["initContainerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert status["phase"] == "Pending"
    assert "podIP" not in status


def test_a_pod_deleted_before_it_ran() -> None:
    containers: Containers = {"c": INITIALIZING}
    held = pod(containers, **podstatus.held(pod(containers), Held(), HERE))
    status = podstatus.final(held, None, HERE)
    [container] = status["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == 137
    assert container["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert (status["phase"], told(status)) == ("Failed", DONE)


def test_a_pod_deleted_before_its_inits_were_done() -> None:
    containers: Containers = {"a": (Kind.INIT, RUNNING), "b": (Kind.INIT, INITIALIZING), "c": INITIALIZING}
    status = podstatus.final(pod(containers), job(containers, Phase.PENDING), HERE)
    states = [next(iter(c["state"])) for c in (*status["initContainerStatuses"], *status["containerStatuses"])]
    assert states == ["terminated", "waiting", "waiting"]
    assert status["phase"] == "Failed"


@pytest.mark.parametrize(("state", "phase"), [(OK, "Succeeded"), (BAD, "Failed")])
def test_codes_decide_the_phase_of_a_deleted_pod(state: Terminated, phase: str) -> None:
    containers: Containers = {"c": state}
    status = podstatus.final(pod(containers), replace(job(containers, Phase.RUNNING), gone=True), HERE)
    assert status["phase"] == phase


def test_a_crash_loop_ends_with_its_last_attempt() -> None:
    containers: Containers = {"c": Waiting("CrashLoopBackOff")}
    looping = job(containers, Phase.RUNNING)
    [container] = looping.status.containers
    looping = replace(looping, status=replace(looping.status, containers=(replace(container, last_state=BAD),)))
    status = podstatus.final(pod(containers), looping, HERE)
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 42


def test_a_refused_pod_has_no_container_statuses() -> None:
    status = podstatus.refused(pod({"c": INITIALIZING}), "PodFeatureUnsupported", "spec.hostPID: no", HERE)
    assert (status["phase"], status["reason"], status["message"]) == (
        "Failed",
        "PodFeatureUnsupported",
        "spec.hostPID: no",
    )
    assert not status["containerStatuses"]


def test_a_patch_holds_what_has_changed_and_the_uid() -> None:
    containers: Containers = {"c": RUNNING}
    first = podstatus.reported(pod(containers), job(containers, Phase.RUNNING), HERE)
    assert first is not None
    known = pod(containers, **first)
    assert patch(known, first) is None
    moved = podstatus.reported(known, job(containers, Phase.RUNNING, pod_ip="10.0.0.10"), HERE)
    assert moved is not None
    assert patch(known, moved) == {
        "metadata": {"uid": "u"},
        "status": {"podIP": "10.0.0.10", "podIPs": [{"ip": "10.0.0.10"}, {"$patch": "replace"}]},
    }


def test_a_patch_touches_no_foreign_condition() -> None:
    containers: Containers = {"c": RUNNING}
    foreign = {"type": "x/y", "status": "True"}
    first = podstatus.reported(pod(containers), job(containers, Phase.RUNNING), HERE)
    assert first is not None
    known = pod(containers, **{**first, "conditions": [foreign, *first["conditions"]]})
    assert patch(known, first) is None
    flipped = [{**c, "status": "False"} if c["type"] == "Ready" else c for c in first["conditions"]]
    repaired = patch(pod(containers, **{**first, "conditions": [foreign, *flipped]}), first)
    assert repaired is not None
    assert [c["type"] for c in repaired["status"]["conditions"]] == ["Ready"]


def test_a_resize_is_told_to_be_infeasible_until_it_is_taken_back() -> None:
    containers: Containers = {"c": RUNNING, "d": RUNNING}
    small, big = {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}, {"requests": {"cpu": "2"}}

    def told(resources: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        asked = pod(containers, **known)
        asked["spec"]["containers"][1]["resources"] = resources
        status = podstatus.reported(asked, job(containers, Phase.RUNNING), HERE)
        assert status is not None
        change = patch(asked, status)
        if change is None:
            return known
        kinds = [item["type"] for item in change["status"].get("conditions", []) if item.get("$patch") == "delete"]
        assert kinds == ([] if resources == big else ["PodResizePending"] if known else [])
        return status

    first = told(small, {})
    assert [c.get("resources") for c in first["containerStatuses"]] == [{}, small]
    assert [c.get("allocatedResources") for c in first["containerStatuses"]] == [None, {"cpu": "1"}]
    assert told(small, first) is first
    resized = told(big, first)
    assert resized["containerStatuses"] == first["containerStatuses"]
    [said] = [item for item in resized["conditions"] if item["type"] == "PodResizePending"]
    assert (said["status"], said["reason"], said["observedGeneration"]) == ("True", "Infeasible", 3)
    assert told(big, resized) is resized
    back = told(small, resized)
    assert {item["type"] for item in back["conditions"]} == {item["type"] for item in first["conditions"]}


def test_a_pod_that_was_never_submitted_may_be_resized() -> None:
    asked = pod({"c": RUNNING})
    waits = podstatus.held(asked, Held(), HERE)
    assert "resources" not in waits["containerStatuses"][0]


def test_the_end_of_an_attempt_is_shown_before_the_wait_for_the_next() -> None:
    running: Containers = {"c": RUNNING}
    first = podstatus.reported(pod(running), job(running, Phase.RUNNING), HERE)
    assert first is not None
    looping = job({"c": Waiting("CrashLoopBackOff")}, Phase.RUNNING)
    [container] = looping.status.containers
    container = replace(container, container_id="docker://c", last_state=BAD, restart_count=1)
    looping = replace(looping, status=replace(looping.status, containers=(container,)))
    known = pod(running, **first)
    assert podstatus.shows_just_ended(known, looping)
    ended = podstatus.reported(known, looping, HERE)
    assert ended is not None
    assert ended["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 42
    after = pod(running, **ended)
    assert not podstatus.shows_just_ended(after, looping)
    waits = podstatus.reported(after, looping, HERE)
    assert waits is not None
    assert waits["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_a_pod_that_waits_for_its_image_has_the_address_of_its_host() -> None:
    containers: Containers = {"c": Waiting("ImagePullBackOff")}
    status = podstatus.reported(pod(containers), job(containers, Phase.PENDING, pod_ip=""), HERE)
    assert status is not None
    assert (status["podIP"], told(status)) == ("192.0.2.7", STARTING)
    fresh: Containers = {"c": Waiting("ContainerCreating")}
    status = podstatus.reported(pod(fresh), job(fresh, Phase.PENDING, pod_ip=""), HERE)
    assert status is not None
    assert "podIP" not in status
