"""The decision table, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from interlink.kubelet.decide import Action, Knowledge, Situation, decide
from interlink.model.driver import PodRecord
from interlink.model.status import ContainerStatus, Phase, PodStatus, Running, Terminated

COMPLETE, PARTIAL, AWAY = Knowledge.COMPLETE, Knowledge.PARTIAL, Knowledge.AWAY


def api(phase: str = "Pending", *, deleting: bool = False, ran: bool = False, mirror: bool = False) -> Any:
    metadata: dict[str, Any] = {"uid": "u", "name": "p", "namespace": "n"}
    if deleting:
        metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
    if mirror:
        metadata["annotations"] = {"kubernetes.io/config.mirror": "x"}
    statuses = [{"name": "c", "containerID": "docker://1", "state": {"terminated": {}}}] if ran else []
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase, "containerStatuses": statuses}}


def job(phase: Phase = Phase.RUNNING, *, gone: bool = False, running: bool = False) -> PodRecord:
    state = Running() if running or phase is Phase.RUNNING else Terminated(0)
    status = PodStatus("u", phase=phase, containers=(ContainerStatus("c", state=state),))
    return PodRecord("u", "n", "p", "vk", "h", "run", status, gone=gone)


CASES: list[tuple[str, Situation, Action]] = [
    # the API has no such pod
    ("a leftover is deleted", Situation(None, job(), COMPLETE), Action.STOP),
    ("a leftover that ended is deleted too", Situation(None, job(Phase.FAILED), COMPLETE), Action.STOP),
    ("until the backend has taken note", Situation(None, job(), COMPLETE, asked=True), Action.NOTHING),
    ("or nothing is left of it", Situation(None, job(gone=True), COMPLETE), Action.NOTHING),
    ("what may have been sent is deleted", Situation(None, None, AWAY, sent=True), Action.STOP),
    ("once", Situation(None, None, COMPLETE, sent=True, asked=True), Action.NOTHING),
    ("nothing at all", Situation(None, None, AWAY), Action.NOTHING),
    # it is being deleted
    ("stop", Situation(api("Running", deleting=True), job(), COMPLETE), Action.STOP),
    ("and wait for its end", Situation(api("Running", deleting=True), job(), COMPLETE, asked=True), Action.WAIT),
    ("remove it", Situation(api("Running", deleting=True), job(Phase.FAILED), COMPLETE), Action.FINISH),
    ("not while one still runs", Situation(api(deleting=True), job(Phase.FAILED, running=True), COMPLETE), Action.STOP),
    ("gone", Situation(api("Running", deleting=True), job(gone=True), COMPLETE), Action.FINISH),
    ("never seen: say so anyway", Situation(api(deleting=True), None, COMPLETE), Action.STOP),
    ("never seen: then remove", Situation(api(deleting=True), None, COMPLETE, asked=True), Action.FINISH),
    ("not named, deleted there", Situation(api(deleting=True), None, PARTIAL, asked=True), Action.FINISH),
    ("backend away: ask on", Situation(api(deleting=True), None, AWAY), Action.STOP),
    ("backend away after it was asked", Situation(api(deleting=True), None, AWAY, asked=True), Action.WAIT),
    ("terminal and deleted", Situation(api("Succeeded", deleting=True), job(Phase.SUCCEEDED), COMPLETE), Action.FINISH),
    # it is over
    ("its job stays for its logs", Situation(api("Succeeded"), job(Phase.SUCCEEDED), COMPLETE), Action.NOTHING),
    ("never submitted again", Situation(api("Failed"), None, COMPLETE), Action.NOTHING),
    ("declared over by others", Situation(api("Failed"), job(), COMPLETE), Action.STOP),
    ("and stopped", Situation(api("Failed"), job(), COMPLETE, asked=True), Action.NOTHING),
    # it shall run
    ("new", Situation(api(), None, COMPLETE), Action.SUBMIT),
    ("new to a foreign server", Situation(api(), None, PARTIAL), Action.SUBMIT),
    ("backend away", Situation(api(), None, AWAY), Action.WAIT),
    ("known", Situation(api(), job(), COMPLETE), Action.PUBLISH),
    ("known while away", Situation(api("Running"), job(), AWAY), Action.PUBLISH),
    ("deleted behind our back", Situation(api("Running"), job(gone=True), COMPLETE), Action.PUBLISH),
    ("a create without an answer", Situation(api(), None, COMPLETE, sent=True), Action.SUBMIT),
    # it ran and is not there
    ("lost", Situation(api("Running"), None, COMPLETE), Action.LOST),
    ("lost in Pending", Situation(api(ran=True), None, COMPLETE), Action.LOST),
    ("away is not lost", Situation(api("Running"), None, AWAY), Action.WAIT),
    ("a foreign server forgets", Situation(api("Running"), None, PARTIAL), Action.WAIT),
    ("accepted a moment ago", Situation(api(), None, COMPLETE, sent=True, accepted_age=3), Action.WAIT),
    ("accepted long ago", Situation(api(), None, COMPLETE, sent=True, accepted_age=61), Action.LOST),
    # strangers
    ("a mirror", Situation(api(mirror=True), None, COMPLETE), Action.DISCARD),
]


@pytest.mark.parametrize(("situation", "action"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_table(situation: Situation, action: Action) -> None:
    assert decide(situation) is action
