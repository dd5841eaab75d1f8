"""What requests for logs ask, and what a real kubelet says where there is none."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from yarl import URL

from interlink.errors import InvalidPod
from interlink.kubelet import logquery
from interlink.model.driver import LogQuery
from interlink.model.pod import PodRef
from interlink.model.status import ContainerStatus, PodStatus, Running, Terminated, Waiting

REF = PodRef("u", "ns", "web")


def parsed(query: str) -> LogQuery:
    return logquery.parse(REF, "c", URL(f"/?{query}").query)


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {}),
        ("follow=true&timestamps=1&previous=yes", {"follow": True, "timestamps": True, "previous": True}),
        ("follow=false&timestamps=0&previous=", {"previous": True}),
        ("tailLines=0", {"tail": 0}),
        ("tailLines=25&limitBytes=1", {"tail": 25, "limit_bytes": 1}),
        ("tail=7", {"tail": 7}),
        ("tail=all&tailLines=3", {}),
        ("sinceSeconds=60", {"since_seconds": 60}),
        ("sinceTime=2026-01-01T01:00:00%2B01:00", {"since_time": datetime(2026, 1, 1, tzinfo=timezone.utc)}),
        ("insecureSkipTLSVerifyBackend=true&unknown=x", {}),
        ("stream=All", {}),
    ],
)
def test_options_are_read(query: str, fields: dict[str, Any]) -> None:
    assert parsed(query) == LogQuery(REF, "c", **fields)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("tailLines=-1", "tailLines"),
        ("tailLines=x", "tailLines"),
        ("tailLines=1_0", "tailLines"),
        ("tailLines=%EF%BC%91", "tailLines"),  # a digit, and not an ASCII one
        ("limitBytes=0", "limitBytes"),
        ("limitBytes=9223372036854775808", "limitBytes"),
        ("sinceSeconds=0", "sinceSeconds"),
        ("sinceSeconds=", "sinceSeconds"),
        ("sinceTime=yesterday", "sinceTime"),
        ("sinceTime=2026-01-01T00:00:00Z&sinceSeconds=5", "sinceTime"),
        ("stream=Stdout", "stream"),
    ],
)
def test_wrong_options_are_named(query: str, field: str) -> None:
    with pytest.raises(InvalidPod) as caught:
        parsed(query)
    assert caught.value.field == field


ENDED = Terminated(1, "Error", container_id="docker://0")
WHAT = 'container "c" in pod "web"'


@pytest.mark.parametrize(
    ("container", "previous", "said"),
    [
        (ContainerStatus("c", state=Running()), False, ""),
        (ContainerStatus("c", state=Running()), True, f"previous terminated {WHAT} not found"),
        (ContainerStatus("c", state=Running(), last_state=ENDED), True, ""),
        (ContainerStatus("c", state=ENDED), False, ""),
        (ContainerStatus("c", state=Waiting("CrashLoopBackOff"), last_state=ENDED), False, ""),
        (ContainerStatus("c"), False, f"{WHAT} is waiting to start: ContainerCreating"),
        (ContainerStatus("c", state=Waiting("PodInitializing")), False, f"{WHAT} is waiting to start: PodInitializing"),
        (
            ContainerStatus("c", state=Waiting("ImagePullBackOff")),
            False,
            f"{WHAT} is waiting to start: trying and failing to pull image",
        ),
        (
            ContainerStatus("c", state=Waiting("ErrImagePull")),
            False,
            f"{WHAT} is waiting to start: image can't be pulled",
        ),
        (ContainerStatus("c", state=Terminated(137, "ContainerStatusUnknown")), False, f"{WHAT} has not run"),
        (ContainerStatus("other", state=Running()), False, f"{WHAT} is not available"),
    ],
)
def test_a_container_without_a_log_says_why(container: ContainerStatus, previous: bool, said: str) -> None:
    assert logquery.refusal("web", "c", PodStatus("u", containers=(container,)), previous=previous) == said


def test_a_pod_that_nobody_runs_yet_is_being_created() -> None:
    assert logquery.refusal("web", "c", None, previous=False) == f"{WHAT} is waiting to start: ContainerCreating"
