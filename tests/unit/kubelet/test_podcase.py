"""How long a pod is given to stop, and whether its time is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from interlink.kubelet.podcase import ESCALATE_SECONDS, REMOVAL_SECONDS, Case, Entry

Json = dict[str, Any]


def at(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(*, grace: int | None = None, due: float | None = None, started: float | None = None, **spec: Any) -> Json:
    metadata: Json = {"uid": "u", "name": "p", "namespace": "n"}
    if due is not None:
        metadata |= {"deletionTimestamp": at(due), "deletionGracePeriodSeconds": grace}
    status = {} if started is None else {"startTime": at(started)}
    return {"metadata": metadata, "spec": {"terminationGracePeriodSeconds": 45, **spec}, "status": status}


def case(now: Json | None, last: Json | None = None, **entry: Any) -> Case:
    return Case("u", now, None, Entry(**entry), last or now)


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (lambda: case(pod()), 45),
        (lambda: case(pod(grace=20, due=20)), 20),
        (lambda: case(pod(grace=20, due=-1)), 20),
        (lambda: case(pod(grace=20, due=-2 - ESCALATE_SECONDS)), 0),
        (lambda: case(None, pod(grace=20, due=20)), 20),
        (lambda: case(None, pod(grace=0, due=0)), 1),
        (lambda: case(None, pod()), 1),
        (lambda: case(None), 30),
        (lambda: case(None, asked_grace=5), 5),
    ],
)
def test_the_grace_period(seen: Callable[[], Case], wanted: int) -> None:
    """Over its time by a quarter of a minute: none any more. Removed by force: a second."""
    assert seen().grace == wanted


def test_the_api_server_is_given_time_to_remove_what_it_has_begun_to() -> None:
    assert 0 < case(pod(grace=0, due=-1)).removal_wait <= REMOVAL_SECONDS
    assert case(pod(grace=0, due=60)).removal_wait == REMOVAL_SECONDS, "its clock is another one"
    assert case(pod(grace=0, due=-REMOVAL_SECONDS - 1)).removal_wait == 0, "nobody else does it"
    assert case(pod(grace=5, due=5)).removal_wait == 0
    assert case(pod()).removal_wait == 0


def test_a_deadline_counts_from_when_a_kubelet_took_the_pod_up() -> None:
    assert case(pod(started=-11, activeDeadlineSeconds=10)).is_overdue
    assert not case(pod(started=-5, activeDeadlineSeconds=10)).is_overdue
    assert not case(pod(activeDeadlineSeconds=10)).is_overdue
    assert not case(pod(started=-100)).is_overdue


def test_the_same_is_told_again_only_after_a_while() -> None:
    seen = case(pod())
    assert seen.tell("FailedMount", "one") is not None
    assert seen.tell("FailedMount", "one") is None
    assert seen.tell("FailedMount", "two") is not None
