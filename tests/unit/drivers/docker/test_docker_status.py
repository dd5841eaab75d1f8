"""tests/cases/docker/status.yaml: what a host prints of a pod, and the status that it amounts to.

A case is a pod of one container `main` (policy Never), with more in `kinds` before it. `engine` holds the
engine's State of attempts, `records` the variables of our own files, `messages` why a container waits,
`words` termination messages; `kept` and `going` are a deleted pod and a tombstone; `on` names the engine.
`want` holds the phase, the state of containers in words, and of `main`: message, ready, last, restarts, began, ended.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlink.drivers.docker import inspect
from interlink.drivers.docker.status import pod_status
from interlink.errors import OutcomeUnknown
from interlink.model.status import ContainerStatus, PodStatus, Running, State, Terminated, Waiting

CASES = Path(__file__).parents[3] / "cases/docker/status.yaml"
UID = "8c2b1f0e-0000-4000-8000-000000000001"
NEVER = "0001-01-01T00:00:00Z"


def printed(case: dict[str, Any]) -> str:
    """Return what show.sh prints for this pod, in its order."""
    where = f"{'kept' if case.get('kept') else 'pods'}/{UID}"
    kinds = {**case.get("kinds", {}), "main": "main"}
    containers = [{"name": name, "kind": kind, "image": "busybox"} for name, kind in kinds.items()]
    skeleton = {"namespace": "n", "name": "p", "policy": case.get("policy", "Never"), "containers": containers}
    lines = ["T 1795000000", "A 10.0.0.1", "O 0", f"{where}/skeleton.json:{json.dumps(skeleton)}"]
    for name, record in case.get("records", {}).items():
        lines += [f"{where}/state/{name}:{key}={value}" for key, value in record.items()]
    lines += [f"{where}/state/{name}.msg:{text}" for name, text in case.get("messages", {}).items()]
    lines += [f"C {json.dumps(_inspected(name, state))}" for name, state in case.get("engine", {}).items()]
    for name, text in case.get("words", {}).items():
        lines.append(f"M {where}/message/{name} {base64.b64encode(text.encode()).decode()}")
    if case.get("kept") or case.get("going"):
        lines.append(f"G {UID}")
    if not case.get("kept"):
        lines.append(f"P {UID}")
    return "\n".join([*lines, "E", ""])


def _inspected(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"id-of-{name}",
        "name": f"/il-{UID}-{name}",
        "image": "sha256:0",
        "state": {"ExitCode": 0, "OOMKilled": False, "Error": "", "StartedAt": NEVER, "FinishedAt": NEVER, **state},
        "created": "2026-11-21T11:00:00Z",
        "labels": {"interlink.eu/uid": UID, "interlink.eu/container": name.rpartition("-")[0]},
        "network": {},
    }


def status_of(case: dict[str, Any]) -> PodStatus:
    shown = inspect.parse(printed(case))
    return pod_status(shown.pods[UID], case.get("on", "docker"), shown.host_ip, shown.taken_at)


def in_words(state: State | None) -> str:
    if isinstance(state, Running):
        return "Running"
    if isinstance(state, Waiting):
        return f"Waiting {state.reason}"
    return f"Terminated {state.exit_code} {state.reason}" if state else "none"


def facts(status: PodStatus) -> dict[str, object]:
    """Return all that a case may expect."""
    found: dict[str, object] = {"phase": status.phase.value, "reason": status.reason}
    for one in status.containers:
        found |= {one.name: in_words(one.state), f"{one.name}.ready": one.ready}
    return found | _of_main(next(one for one in status.containers if one.name == "main"))


def _of_main(main: ContainerStatus) -> dict[str, object]:
    found: dict[str, object] = {
        "ready": main.ready,
        "last": in_words(main.last_state),
        "restarts": main.restart_count,
        "message": "" if isinstance(main.state, Running) else main.state.message,
    }
    if isinstance(main.state, Terminated):
        found["began"], found["ended"] = (
            time.isoformat() if time else None for time in (main.state.started_at, main.state.finished_at)
        )
    return found


@pytest.mark.parametrize("case", yaml.safe_load(CASES.read_text()), ids=lambda case: case["what"])
def test_status(case: dict[str, Any]) -> None:
    found = facts(status_of(case))
    assert {key: found[key] for key in case["want"]} == case["want"]


def test_every_container_is_reported_in_the_order_of_the_spec() -> None:
    case = {"kinds": {"z": "init", "s": "sidecar", "a": "main"}, "engine": {"a-0": {"Status": "running"}}}
    assert [one.name for one in status_of(case).containers] == ["z", "s", "a", "main"]


@pytest.mark.parametrize("lines", range(5))
def test_a_cut_answer_is_no_answer(lines: int) -> None:
    text = printed({"engine": {"main-0": {"Status": "running"}}})
    with pytest.raises(OutcomeUnknown):
        inspect.parse("".join(text.splitlines(keepends=True)[:lines]))


def test_containers_of_others_and_odd_lines_are_passed_over() -> None:
    foreign = json.dumps({"id": "x", "name": "/web", "state": {"Status": "running"}, "labels": None})
    shown = inspect.parse(f"T 1795000000\nC {foreign}\npods/odd\nO 12\nE\n")
    assert (shown.pods, shown.offset) == ({}, 12)


def test_events_of_the_feed() -> None:
    lines = [
        f"F {UID}\t1795000000\tWarning\tBackOff\tmain\tBack-off restarting failed container main",
        f"F {UID}\t1795000000\t-\t\t\t",
        f"F {UID}\tnot a time\tNormal\tPulled\tmain\tx",
        "F torn",
    ]
    events = inspect.parse("\n".join(["T 1795000000", *lines, "E"])).events
    assert [(event.uid, event.type, event.reason, event.container) for event in events] == [
        (UID, "Warning", "BackOff", "main")
    ]


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ({"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}, "172.17.0.2"),
        ({"Networks": {"host": {"IPAddress": ""}}}, "10.0.0.1"),
        ({"Networks": {"podman": {"IPAddress": "10.88.0.3"}}, "IPAddress": ""}, "10.88.0.3"),
        ({"Networks": None, "IPAddress": "10.88.0.4"}, "10.88.0.4"),
        ({"Networks": {"bridge": {"IPAddress": ""}}}, ""),
    ],
)
def test_the_pods_address(network: dict[str, object], address: str) -> None:
    shown = inspect.parse(printed({"engine": {"main-0": {"Status": "running"}}}))
    pod = shown.pods[UID]
    pod.engine["main"] = {0: {**pod.engine["main"][0], "network": network}}
    assert pod_status(pod, "docker", shown.host_ip, shown.taken_at).pod_ip == address
