"""Restarts, sequence and deadlines belong to the host: they go on with nobody connected."""

from __future__ import annotations

import os
import signal
import time

import pytest

from interlink.model.status import Phase, Running, Terminated, Waiting
from tests.contract.support import Box, container, ended, wait
from tests.docker.support import Place, group

pytestmark = pytest.mark.lab


def test_everything_goes_on_without_a_connection(place: Place) -> None:
    script = "echo x >> /e/n; [ $(wc -l < /e/n) -ge 2 ] || exit 9; sleep 1"
    volumes = [{"name": "e", "emptyDir": {}}]
    mount = {"volumeMounts": [{"name": "e", "mountPath": "/e"}]}
    rig = place.rig
    inits = [
        Box("sleep 1; echo first", name="i"),
        Box("while :; do sleep 1; done", name="s", more={"restartPolicy": "Always"}),
    ]
    request = rig.pod(
        Box(script, more=mount),
        inits=inits,
        restartPolicy="OnFailure",
        volumes=volumes,
        terminationGracePeriodSeconds=1,
    )
    with rig.launch(request) as run:
        place.connection.close()
        before = place.connection.commands
        names = [f"/il-{run.uid}-{name}" for name in ("_pause-0", "i-0", "main-0", "main-1", "s-0")]
        wait(lambda: place.containers(run.uid) == names, "all containers of the pod were started")
        wait(lambda: place.engine.containers(f"label=interlink.eu/uid={run.uid}", "status=running") == [], "all ended")
        assert place.connection.commands == before
        status = run.ended()
        assert status.phase is Phase.SUCCEEDED
        assert container(status, "main").restart_count == 1
        last = container(status, "main").last_state
        assert last is not None
        assert last.exit_code == 9


def test_back_off(place: Place) -> None:
    with place.rig.run(Box("exit 33"), restartPolicy="Always") as run:
        status = run.until(lambda s: container(s, "main").restart_count == 2, "the second restart")
        assert status.phase is Phase.RUNNING
        status = run.until(lambda s: isinstance(container(s, "main").state, Waiting), "the third back-off")
        state, last = container(status, "main").state, container(status, "main").last_state
        assert isinstance(state, Waiting)
        assert state.reason == "CrashLoopBackOff"
        assert last is not None
        assert last.exit_code == 33


def test_deadline_keeps_the_codes(place: Place) -> None:
    boxes = (
        Box("trap 'exit 5' TERM; while :; do sleep 0.1; done", name="a"),
        Box("exit 0", name="b"),
        Box("trap '' TERM; while :; do sleep 0.1; done", name="c"),
    )
    with place.rig.run(*boxes, activeDeadlineSeconds=2, terminationGracePeriodSeconds=1) as run:
        status = run.ended()
        assert (status.phase, status.reason) == (Phase.FAILED, "DeadlineExceeded")
        assert [ended(status, name).exit_code for name in "abc"] == [5, 0, 137]


def test_deadline_of_a_pod_whose_image_is_not_there(place: Place) -> None:
    with place.rig.run(Box("true", more={"image": "127.0.0.1:9/no/such:1"}), activeDeadlineSeconds=2) as run:
        status = run.ended()
        assert (status.phase, status.reason) == (Phase.FAILED, "DeadlineExceeded")
        assert (ended(status).exit_code, ended(status).reason) == (137, "ContainerStatusUnknown")


def test_sandbox_lost(place: Place) -> None:
    """Pause gone is a new sandbox: inits run again, the main's old attempt counts as ended."""
    with place.rig.run(
        Box("sleep 1000"), inits=[Box("true", name="i")], restartPolicy="Always", terminationGracePeriodSeconds=0
    ) as run:
        run.running()
        place.engine.run("kill", f"il-{run.uid}-_pause-0")
        status = run.until(
            lambda s: container(s, "main").restart_count == 1 and isinstance(container(s, "main").state, Running),
            "restart",
        )
        assert container(status, "i").restart_count == 1


def test_container_lost(place: Place) -> None:
    with place.rig.run(Box("sleep 1000"), Box("sleep 1", name="other")) as run:
        run.running()
        supervisor = wait(place.supervisor, "a supervisor")
        os.killpg(supervisor, signal.SIGSTOP)  # so that nobody sees it die
        place.engine.run("rm", "-f", f"il-{run.uid}-main-0")
        os.killpg(supervisor, signal.SIGCONT)
        status = run.ended()
        assert status.phase is Phase.FAILED
        assert (ended(status).exit_code, ended(status).reason) == (137, "ContainerStatusUnknown")
        assert len(place.containers(run.uid)) == 2  # nothing recorded is ever started again


def test_supervisor_killed(place: Place) -> None:
    with place.rig.run(Box("sleep 3"), inits=[Box("sleep 1", name="i")]) as run:
        first = wait(place.supervisor, "a supervisor")
        os.killpg(first, signal.SIGKILL)
        place.driver.listing()
        second = wait(lambda: place.supervisor() if place.supervisor() != first else 0, "another supervisor")
        assert run.ended().phase is Phase.SUCCEEDED
        place.driver.prepare()
        time.sleep(0.5)
        assert place.supervisor() == second


def test_main_process_of_supervisor_killed_alone(place: Place) -> None:
    """What it leaves behind ends by itself: no stream of events without a reader."""
    with place.rig.run(Box("sleep 1"), inits=[Box("true", name="i")]) as run:
        run.ended()
        pid = wait(place.supervisor, "a supervisor")
        os.kill(pid, signal.SIGKILL)
        wait(lambda: not group(pid), "its process group has ended")


def test_start_error(place: Place) -> None:
    with place.rig.run(Box(argv=["/no/such"]), Box("true", name="fine")) as run:
        status = run.ended()
        state = ended(status)
        assert isinstance(state, Terminated)
        assert (state.exit_code, state.reason) == (128, "StartError")
        assert "/no/such" in state.message
        assert ended(status, "fine").exit_code == 0


def test_out_of_memory(place: Place) -> None:
    eat = "tail -c 100000000 /dev/zero"
    with place.rig.run(Box(eat, more={"resources": {"limits": {"memory": "16Mi"}}}), Box("true", name="fine")) as run:
        status = run.ended()
        assert (ended(status).exit_code, ended(status).reason) == (137, "OOMKilled")
        assert ended(status, "fine").reason == "Completed"
