"""Probes, hooks and messages, all done on the host: over SSH, since only a host reaches its containers' ports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interlink.model.status import Phase, PodStatus, Terminated, Waiting
from tests.contract.factories.docker import engine_rig
from tests.contract.support import Box, Rig, Run, container, ended, runs
from tests.docker.support import host_events
from tests.lab.hosts import SshHost

pytestmark = pytest.mark.lab
LOOP = "while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest, docker_host: SshHost) -> Iterator[Rig]:
    with engine_rig(request, docker_host) as made:
        yield made


@pytest.fixture
def inside(docker_host: SshHost) -> Callable[[Run, str], str]:
    """Run a command in the first attempt of a pod's container main."""
    engine = docker_host.engine
    assert engine is not None
    return lambda run, script: engine.run("exec", f"il-{run.uid}-main-0", "sh", "-c", script)


def probe(command: str, **more: Any) -> dict[str, Any]:
    return {"exec": {"command": ["sh", "-c", command]}, "periodSeconds": 1, **more}


def ready(status: PodStatus) -> bool:
    return container(status, "main").ready


def events(run: Run, reason: str) -> list[str]:
    """Return the messages of the host's events of a pod."""
    return [message for said, _, message in host_events(run) if said == reason]


def test_readiness_goes_up_and_down(rig: Rig, inside: Callable[[Run, str], str]) -> None:
    probed = {"readinessProbe": probe("test -f /tmp/mark", failureThreshold=1)}
    with rig.run(Box("sleep 1000", more=probed), restartPolicy="Always", terminationGracePeriodSeconds=1) as run:
        assert not ready(run.running())
        inside(run, "touch /tmp/mark")
        status = run.until(ready, "it is ready")
        assert container(status, "main").started
        inside(run, "rm /tmp/mark")
        status = run.until(lambda s: not ready(s), "it is not ready any more")
        assert runs(container(status, "main"))
        assert container(status, "main").restart_count == 0
        assert any("Readiness probe failed" in text for text in events(run, "Unhealthy"))


def test_liveness_ends_it_and_its_own_code_counts(rig: Rig) -> None:
    probed = {"livenessProbe": probe("echo not well; exit 1", failureThreshold=2)}
    with rig.run(Box(f"trap 'exit 5' TERM; {LOOP}", more=probed)) as run:
        status = run.ended()
        assert (status.phase, ended(status).exit_code) == (Phase.FAILED, 5)
        assert events(run, "Unhealthy").count("Liveness probe failed: not well") == 2
        assert events(run, "Killing") == ["Container main failed liveness probe, will be restarted"]


def test_liveness_restarts_what_is_to_be_restarted(rig: Rig) -> None:
    probed = {"livenessProbe": probe("exit 1", failureThreshold=1, initialDelaySeconds=2)}
    with rig.run(Box("sleep 1000", more=probed), restartPolicy="Always", terminationGracePeriodSeconds=1) as run:
        status = run.until(lambda s: container(s, "main").restart_count > 0, "it is restarted")
        last = container(status, "main").last_state
        assert last is not None
        assert last.exit_code == 137


def test_until_the_startup_probe_has_passed_nothing_else_counts(rig: Rig, inside: Callable[[Run, str], str]) -> None:
    probed = {
        "startupProbe": probe("test -f /tmp/up", failureThreshold=100),
        "livenessProbe": probe("test -f /tmp/up", failureThreshold=1),
    }
    with rig.run(Box("sleep 1000", more=probed), restartPolicy="Always", terminationGracePeriodSeconds=1) as run:
        status = run.running()
        run.until(lambda _: events(run, "Unhealthy"), "it was probed")
        assert not container(status, "main").started
        assert not ready(status)
        inside(run, "touch /tmp/up")
        status = run.until(lambda s: container(s, "main").started, "it has started")
        assert ready(status)
        assert container(status, "main").restart_count == 0


def test_a_sidecar_that_has_not_started_holds_what_comes_after(rig: Rig) -> None:
    sidecar = Box(
        f"sleep 3; touch /tmp/up; {LOOP}",
        name="side",
        more={"restartPolicy": "Always", "startupProbe": probe("test -f /tmp/up", failureThreshold=100)},
    )
    with rig.run(Box("true"), inits=[sidecar]) as run:
        status = run.until(lambda s: runs(container(s, "side")), "the sidecar runs")
        if not container(status, "side").started:
            assert isinstance(container(status, "main").state, Waiting)
        status = run.ended()
        main, side = ended(status), container(status, "side").state
        assert status.phase is Phase.SUCCEEDED
        assert isinstance(side, Terminated)
        assert main.started_at is not None
        assert side.started_at is not None
        assert (main.started_at - side.started_at).total_seconds() >= 3


WEB = "mkdir /www; echo fine > /www/good; exec httpd -f -p 18080 -h /www"


@pytest.mark.parametrize(
    ("action", "good"),
    [
        pytest.param({"httpGet": {"path": "/good", "port": "web"}}, True, id="http-200"),
        pytest.param({"httpGet": {"path": "/bad", "port": 18080}}, False, id="http-404"),
        pytest.param({"httpGet": {"path": "/good", "port": 18081}}, False, id="http-refused"),
        pytest.param({"tcpSocket": {"port": 18080}}, True, id="tcp"),
        pytest.param({"tcpSocket": {"port": 18081}}, False, id="tcp-refused"),
        pytest.param({"grpc": {"port": 18080}}, False, id="not-grpc"),
    ],
)
def test_probes_over_the_network(rig: Rig, action: dict[str, Any], good: bool) -> None:
    probed = {**action, "periodSeconds": 1, "timeoutSeconds": 10, "failureThreshold": 1}
    more = {"readinessProbe": probed, "ports": [{"name": "web", "containerPort": 18080}]}
    with rig.run(Box(WEB, more=more)) as run:
        run.running()
        if good:
            run.until(ready, "it is ready")
        else:
            run.until(lambda _: events(run, "Unhealthy"), "the probe fails")
            status = run.status()
            assert status is not None
            assert not ready(status)


def test_post_start_comes_before_running(rig: Rig) -> None:
    script = "until [ -f /tmp/hook ]; do sleep 0.1; done; cat /tmp/hook; sleep 3"
    hook = {"exec": {"command": ["sh", "-c", "sleep 2; echo hooked > /tmp/hook; echo not in the log"]}}
    with rig.run(Box(script, more={"lifecycle": {"postStart": hook}}), Box("sleep 1", name="next")) as run:
        status = run.ended()
        assert status.phase is Phase.SUCCEEDED
        assert run.log("main") == b"hooked\n"
        first, second = ended(status), ended(status, "next")
        assert first.started_at is not None
        assert second.started_at is not None
        assert (second.started_at - first.started_at).total_seconds() >= 2


def test_a_post_start_that_fails_ends_the_container(rig: Rig) -> None:
    hook = {"exec": {"command": ["sh", "-c", "until [ -f /tmp/set ]; do sleep 0.1; done; exit 1"]}}
    script = f"trap 'exit 8' TERM; touch /tmp/set; {LOOP}"
    with rig.run(Box(script, more={"lifecycle": {"postStart": hook}})) as run:
        status = run.ended()
        assert (status.phase, ended(status).exit_code) == (Phase.FAILED, 8)
        assert events(run, "FailedPostStartHook")


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        pytest.param({"exec": {"command": ["sh", "-c", "sleep 1; echo before > /tmp/pre"]}}, b"before", id="exec"),
        pytest.param({"sleep": {"seconds": 2}}, b"nothing", id="sleep"),
    ],
)
def test_pre_stop_comes_before_term(rig: Rig, hook: dict[str, Any], said: bytes) -> None:
    script = f"echo nothing > /tmp/pre; trap 'cat /tmp/pre; exit 6' TERM; echo up; {LOOP}"
    with rig.run(Box(script, more={"lifecycle": {"preStop": hook}})) as run:
        run.logged(b"up\n")
        begun = time.monotonic()
        final = run.delete(grace=30)
        assert time.monotonic() - begun >= 1
        assert final is not None
        assert ended(final).exit_code == 6
        assert run.log() == b"up\n" + said + b"\n"


def test_a_pre_stop_longer_than_the_grace_is_cut_and_term_still_comes(rig: Rig) -> None:
    hook = {"exec": {"command": ["sleep", "1000"]}}
    script = f"trap 'echo term; exit 6' TERM; echo up; {LOOP}"
    with rig.run(Box(script, more={"lifecycle": {"preStop": hook}})) as run:
        run.logged(b"up\n")
        final = run.delete(grace=3)
        assert final is not None
        assert ended(final).exit_code == 6
