"""Init containers, native sidecars and mains, in the kubelet's order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from interlink.model.status import Phase, Terminated, Waiting
from tests.contract.support import FOREVER, Box, Rig, container, ended, runs

SIDECAR = {"restartPolicy": "Always"}
UP = [{"name": "up", "emptyDir": {}}]


def test_inits_run_in_order(rig: Rig) -> None:
    inits = [Box("sleep 1", name=f"i{n}", run=0.2) for n in range(3)]
    with rig.run(Box("true"), inits=inits) as run:
        status = run.ended()
        assert status.phase is Phase.SUCCEEDED
        times = [ended(status, name) for name in ("i0", "i1", "i2", "main")]
        for before, after in pairwise(times):
            assert before.finished_at is not None
            assert after.started_at is not None
            assert before.finished_at <= after.started_at


def test_a_main_waits_for_its_init(rig: Rig) -> None:
    with rig.run(Box("true"), inits=[Box("sleep 300", name="first", **FOREVER)]) as run:
        status = run.running("first")
        waiting = container(status, "main").state
        assert isinstance(waiting, Waiting)
        assert waiting.reason == "PodInitializing"
        assert status.phase is Phase.PENDING


def test_a_failed_init_ends_the_pod(rig: Rig) -> None:
    inits = [Box("exit 7", name="bad", code=7), Box("true", name="later")]
    with rig.run(Box("echo never", log="never\n"), inits=inits) as run:
        status = run.ended()
        assert status.phase is Phase.FAILED
        assert ended(status, "bad").exit_code == 7
        for name in ("later", "main"):
            state = container(status, name).state
            assert isinstance(state, Waiting)
            assert state.reason == "PodInitializing"


@pytest.mark.needs("processes")
def test_each_init_has_its_log(rig: Rig) -> None:
    with rig.run(Box("echo main"), inits=[Box("echo zero", name="i0"), Box("echo one", name="i1")]) as run:
        run.ended()
        assert [run.log(name) for name in ("i0", "i1", "main")] == [b"zero\n", b"one\n", b"main\n"]


@pytest.mark.needs("restarts")
def test_a_sidecar_starts_first_does_not_block_and_stops_last(rig: Rig) -> None:
    script = "trap 'echo stopped; exit 0' TERM; echo up; while :; do sleep 0.1; done 2>/dev/null"
    side = Box(script, name="side", log="up\n", stop_code=0, more=SIDECAR, **FOREVER)
    with rig.run(Box("sleep 4", run=0.3), inits=[side]) as run:
        status = run.running("side", "main")
        assert status.phase is Phase.RUNNING
        status = run.ended()
        assert status.phase is Phase.SUCCEEDED
        main, sidecar = ended(status, "main"), ended(status, "side")
        assert main.started_at is not None
        assert sidecar.started_at is not None
        assert main.finished_at is not None
        assert sidecar.finished_at is not None
        assert sidecar.started_at <= main.started_at
        assert sidecar.finished_at >= main.finished_at
        if "processes" in rig.features:
            assert run.log("side") == b"up\nstopped\n"


def ready_to_stop(rig: Rig, trap: str, name: str, **more: Any) -> Box:
    """Return a sidecar that says in a volume that it has its handler: a signal before that would be lost."""
    script = f"trap '{trap}' TERM; : > {rig.path('up')}/{name}; while :; do sleep 0.1; done 2>/dev/null"
    return Box(script, name=name, volumes=["up"], more=SIDECAR, **more, **FOREVER)


def ends_after(rig: Rig, *sides: Box) -> Box:
    """Return a main container that ends once these sidecars have their handlers."""
    script = "".join(f"until [ -e {rig.path('up')}/{side.name} ]; do sleep 0.1; done; " for side in sides)
    return Box(script, volumes=["up"], run=0.3)


@pytest.mark.needs("restarts")
def test_a_sidecars_code_does_not_fail_the_pod(rig: Rig) -> None:
    side = ready_to_stop(rig, "exit 9", "side", stop_code=9)
    with rig.run(ends_after(rig, side), inits=[side], volumes=UP) as run:
        status = run.ended()
        assert status.phase is Phase.SUCCEEDED
        assert ended(status, "side").exit_code == 9


@pytest.mark.needs("restarts")
def test_a_sidecar_restarts_under_never(rig: Rig) -> None:
    side = Box("exit 1", name="side", code=1, more=SIDECAR)
    with rig.run(Box("sleep 300", **FOREVER), inits=[side]) as run:
        status = run.until(lambda s: container(s, "side").restart_count >= 1, "the sidecar restarts")
        assert status.phase in (Phase.RUNNING, Phase.PENDING)
        run.running("main")


@pytest.mark.needs("restarts")
def test_sidecars_stop_in_reverse(rig: Rig) -> None:
    sides = [ready_to_stop(rig, "sleep 1; exit 0", f"s{n}", stop=0.3, stop_code=0) for n in range(2)]
    with rig.run(ends_after(rig, *sides), inits=sides, volumes=UP) as run:
        status = run.ended()
        first, last = ended(status, "s1").finished_at, ended(status, "s0").finished_at
        assert first is not None
        assert last is not None
        assert first <= last


def test_a_delete_while_an_init_runs_starts_no_main(rig: Rig) -> None:
    with rig.run(Box("echo never"), inits=[Box("sleep 300", name="first", **FOREVER)]) as run:
        run.running("first")
        final = run.delete(grace=1)
        if final is not None:
            assert final.phase is Phase.FAILED
            assert isinstance(container(final, "first").state, Terminated)
            assert not isinstance(container(final, "main").state, Terminated) or ended(final).exit_code == 137
            assert not runs(container(final, "main"))
