"""The node's conditions: what Ready and InterlinkConnectivity say in which situation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from interlink.kubelet.conditions import View, conditions, differ, is_away
from interlink.model.driver import NodeRecord

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
EARLIER = "2026-01-01T00:00:00Z"


def record(*said: tuple[str, str, str]) -> NodeRecord:
    items = tuple({"type": kind, "status": status, "reason": reason, "message": "m"} for kind, status, reason in said)
    return NodeRecord("n", {"cpu": "1"}, {"cpu": "1"}, {}, (), items)


def found(ready: str = "True", **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": EARLIER}], **more}


FINE = record(("Ready", "True", "KubeletReady"), ("InterlinkConnectivity", "True", "HostsReachable"))
HOSTS_AWAY = record(("Ready", "True", "KubeletReady"), ("InterlinkConnectivity", "False", "HostsUnreachable"))
NEVER_SEEN = record(("Ready", "False", "HostsNotReady"), ("InterlinkConnectivity", "False", "HostsUnreachable"))
CASES = [
    ("all is well", View(FINE), {}, ("True", "KubeletReady"), "True"),
    ("a new node is not ready before its parts are", View(FINE, ("pods",)), {}, ("False", "KubeletNotReady"), "True"),
    ("hosts away for long: still ready", View(HOSTS_AWAY), {}, ("True", "KubeletReady"), "False"),
    ("the server away for a moment", View(FINE, away=29), {}, ("True", "KubeletReady"), "True"),
    ("the server away: still ready", View(FINE, away=31, reason="r"), {}, ("True", "KubeletReady"), "False"),
    (
        "the server away for longer than allowed",
        View(FINE, away=61, not_ready_after=60),
        {},
        ("False", "InterlinkUnreachable"),
        "False",
    ),
    ("hosts that were never seen offer nothing", View(NEVER_SEEN), {}, ("False", "HostsNotReady"), "False"),
    (
        "a restarted server has not seen its hosts yet: the node has",
        View(NEVER_SEEN),
        {"capacity": {"cpu": "1"}},
        ("True", "KubeletReady"),
        "False",
    ),
    ("shutting down", View(FINE, stopping=True), found(), ("False", "KubeletStopped"), "True"),
    (
        "shutting down before anything held",
        View(FINE, ("pods",), stopping=True),
        {},
        ("False", "KubeletStopped"),
        "True",
    ),
    ("a node that the server has not named yet", View(None), {}, ("True", "KubeletReady"), "True"),
]


@pytest.mark.parametrize(("view", "status", "ready", "connected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_ready_and_connectivity(view: View, status: dict[str, Any], ready: tuple[str, str], connected: str) -> None:
    said = {item["type"]: item for item in conditions(view, status, NOW)}
    assert (said["Ready"]["status"], said["Ready"]["reason"]) == ready
    assert said["InterlinkConnectivity"]["status"] == connected
    assert is_away(view) is (connected == "False")
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
    assert [said[kind]["status"] for kind in pressures] == ["False"] * 4


@pytest.mark.parametrize("ready", ["True", "False", "Unknown"])
def test_a_restart_leaves_ready_as_found_until_all_holds(ready: str) -> None:
    said = {item["type"]: item for item in conditions(View(FINE, ("pods",)), found(ready), NOW)}
    assert said["Ready"]["status"] == ready
    assert said["Ready"]["lastTransitionTime"] == EARLIER


def test_a_restart_in_an_outage_tells_of_it() -> None:
    view = View(FINE, ("the server",), away=61, reason="r", not_ready_after=60)
    said = {item["type"]: item for item in conditions(view, found("True"), NOW)}
    assert (said["Ready"]["status"], said["InterlinkConnectivity"]["status"]) == ("False", "False")
    said = {item["type"]: item for item in conditions(replace(view, not_ready_after=None), found("True"), NOW)}
    assert (said["Ready"]["status"], said["InterlinkConnectivity"]["status"]) == ("True", "False")


def test_the_transition_time_stays_while_the_status_does() -> None:
    said = {item["type"]: item for item in conditions(View(FINE), found("True"), NOW)}
    assert said["Ready"]["lastTransitionTime"] == EARLIER
    assert said["Ready"]["lastHeartbeatTime"] == "2026-01-02T03:04:05Z"
    said = {item["type"]: item for item in conditions(View(FINE), found("Unknown"), NOW)}
    assert said["Ready"]["lastTransitionTime"] == "2026-01-02T03:04:05Z"


def test_what_the_node_controller_wrote_in_an_outage_is_a_difference_and_foreign_conditions_are_none() -> None:
    said = conditions(View(FINE), {}, NOW)
    assert not differ(said, [*said, {"type": "example.org/Burning", "status": "True"}])
    assert differ(said, [{**item, "status": "Unknown", "reason": "NodeStatusUnknown"} for item in said])
    assert differ(said, said[1:])
    assert differ(said, None)
    later = conditions(View(FINE), {"conditions": said}, NOW.replace(hour=23))
    assert not differ(later, said)
