"""Restart policies, and the deadline of a pod. The host does it all by itself."""

from __future__ import annotations

import pytest

from interlink.model.status import Phase, Terminated
from tests.contract.support import FOREVER, Box, Rig, container, ended

pytestmark = pytest.mark.needs("restarts")


def test_never_restarts_nothing(rig: Rig) -> None:
    with rig.run(Box("exit 1", code=1)) as run:
        assert container(run.ended(), "main").restart_count == 0


def test_on_failure_restarts_until_success(rig: Rig) -> None:
    count = f"echo x >> {rig.path('state')}/tries; n=$(wc -l < {rig.path('state')}/tries); echo try $n; [ $n -ge 2 ]"
    box = Box(count if "volumes" in rig.features else "true", code="1,0", volumes=["state"])
    if "processes" in rig.features and "volumes" not in rig.features:
        pytest.skip("needs somewhere to count")
    with rig.run(box, restartPolicy="OnFailure", volumes=[{"name": "state", "emptyDir": {}}]) as run:
        status = run.ended()
        only = container(status, "main")
        assert status.phase is Phase.SUCCEEDED
        assert only.restart_count == 1
        assert isinstance(only.last_state, Terminated)
        assert (only.last_state.exit_code, only.last_state.reason) == (1, "Error")
        if "processes" in rig.features:
            assert run.log() == b"try 2\n"
            assert run.log(previous=True) == b"try 1\n"
            assert [run.log(attempt=n, follow=True) for n in (0, 1)] == [b"try 1\n", b"try 2\n"]


def test_on_failure_leaves_success_alone(rig: Rig) -> None:
    with rig.run(Box("true"), restartPolicy="OnFailure") as run:
        status = run.ended()
        assert status.phase is Phase.SUCCEEDED
        assert container(status, "main").restart_count == 0


def test_always_restarts_after_success(rig: Rig) -> None:
    with rig.run(Box("true"), restartPolicy="Always") as run:
        status = run.until(lambda s: container(s, "main").restart_count >= 1, "the container is restarted")
        assert status.phase is Phase.RUNNING
        last = container(status, "main").last_state
        assert last is not None
        assert last.exit_code == 0


def test_back_off_is_shown_and_the_second_restart_waits(rig: Rig) -> None:
    with rig.run(Box("exit 4", code=4), restartPolicy="Always") as run:
        status = run.until(
            lambda s: (
                container(s, "main").restart_count == 1
                and getattr(container(s, "main").state, "reason", "") == "CrashLoopBackOff"
            ),
            "the second restart is waited for",
        )
        last = container(status, "main").last_state
        assert last is not None
        assert last.exit_code == 4
        assert status.phase is Phase.RUNNING


def test_a_failing_init_is_restarted(rig: Rig) -> None:
    init = Box("exit 5", name="bad", code=5)
    with rig.run(Box("true"), inits=[init], restartPolicy="OnFailure") as run:
        status = run.until(lambda s: container(s, "bad").restart_count >= 1, "the init is restarted")
        assert status.phase is Phase.PENDING


def test_deadline_ends_a_running_pod(rig: Rig) -> None:
    boxes = (Box("exit 6", name="early", code=6), Box("sleep 300", **FOREVER))
    with rig.run(*boxes, activeDeadlineSeconds=rig.deadline) as run:
        status = run.ended()
        assert (status.phase, status.reason) == (Phase.FAILED, "DeadlineExceeded")
        assert ended(status, "early").exit_code == 6
        assert ended(status).exit_code in (137, 143)


def test_deadline_ends_restarts(rig: Rig) -> None:
    with rig.run(Box("exit 1", code=1), restartPolicy="Always", activeDeadlineSeconds=rig.deadline) as run:
        status = run.ended()
        assert (status.phase, status.reason) == (Phase.FAILED, "DeadlineExceeded")
        assert ended(status).exit_code == 1


def test_deadline_is_forgotten_once_the_pod_has_ended(rig: Rig) -> None:
    with rig.run(Box("true"), activeDeadlineSeconds=60) as run:
        status = run.ended()
        assert (status.phase, status.reason) == (Phase.SUCCEEDED, "")
