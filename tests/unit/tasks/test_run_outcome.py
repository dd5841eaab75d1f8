"""What `interlink run` says, and the code it ends with."""

from __future__ import annotations

import pytest

from interlink.model.driver import PodRecord
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, Terminated, Waiting
from interlink.tasks.running import outcome


def record(*containers: ContainerStatus, host: str = "h1", phase: Phase = Phase.PENDING, **status: str) -> PodRecord:
    return PodRecord("u", "default", "p", "", host, "run", PodStatus("u", containers=containers, phase=phase, **status))


def ended(code: int, name: str = "c", kind: Kind = Kind.MAIN) -> ContainerStatus:
    return ContainerStatus(name, kind, state=Terminated(code))


@pytest.mark.parametrize(
    ("phase", "containers", "code"),
    [
        (Phase.SUCCEEDED, [ended(0)], 0),
        (Phase.SUCCEEDED, [ended(143, "proxy", Kind.SIDECAR), ended(0)], 0),
        (Phase.FAILED, [ended(0), ended(7)], 7),
        (Phase.FAILED, [ended(5), ended(7)], 5),
        (Phase.FAILED, [ended(3, "init", Kind.INIT), ContainerStatus("c")], 3),
        (Phase.FAILED, [ended(143, "proxy", Kind.SIDECAR), ended(9)], 9),
        (Phase.FAILED, [ended(0)], 1),
        (Phase.FAILED, [], 1),
    ],
)
def test_exit_code_is_the_first_failure_in_file_order(
    phase: Phase, containers: list[ContainerStatus], code: int
) -> None:
    assert outcome.exit_code(PodStatus("u", containers=tuple(containers), phase=phase)) == code


def test_progress_tells_each_thing_once() -> None:
    waiting = record(ContainerStatus("c"))
    running = record(ContainerStatus("c", state=Running()), phase=Phase.RUNNING)
    done = record(ended(4), phase=Phase.FAILED)
    assert list(outcome.progress(None, waiting, "docker")) == ["placed on h1 (docker)"]
    assert list(outcome.progress(waiting, running)) == ["c: running"]
    assert list(outcome.progress(running, running)) == []
    assert list(outcome.progress(running, done)) == ["c: ended, exit code 4"]
    assert outcome.ending(done.status) == "failed"


def test_image_errors_are_told_and_count_as_stuck() -> None:
    pulling = record(ContainerStatus("c", state=Waiting("ImagePullBackOff", "no such image")))
    assert "c: ImagePullBackOff: no such image" in list(outcome.progress(None, pulling))
    assert outcome.complaint(pulling) == "c: ImagePullBackOff: no such image"
    assert outcome.complaint(record(ContainerStatus("c"))) is None


def test_a_pod_that_fits_nowhere_has_its_reason() -> None:
    unplaced = record(
        ContainerStatus("c"), host="", reason="Unschedulable", message="0/1 hosts fit: 1 Insufficient cpu"
    )
    assert list(outcome.progress(None, unplaced)) == []
    assert outcome.complaint(unplaced) == "Unschedulable: 0/1 hosts fit: 1 Insufficient cpu"
