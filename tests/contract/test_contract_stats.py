"""What running containers have used, as every HostDriver tells it."""

from __future__ import annotations

import uuid

import pytest

from interlink.model.usage import ContainerUsage
from tests.contract.support import FOREVER, Box, Rig, Run, wait

pytestmark = pytest.mark.needs("host", "usage")

BUSY = "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1; done"


def used(rig: Rig, run: Run) -> dict[str, ContainerUsage]:
    return {item.name: item for item in rig.driver.stats().pods.get(run.uid, ())}


def test_cpu_rises_and_memory_is_that_of_a_small_program(rig: Rig) -> None:
    with rig.run(Box(BUSY, **FOREVER), Box("sleep 300", name="idle", **FOREVER)) as run:
        status = run.running("main", "idle")
        first = wait(lambda: seen if (seen := used(rig, run)).keys() == {"main", "idle"} else None, "both are seen")
        before = first["main"]
        after = wait(
            lambda: seen if (seen := used(rig, run)["main"]).cpu_seconds != before.cpu_seconds else None, "CPU"
        )
        assert before.cpu_seconds is not None
        assert after.cpu_seconds is not None
        assert 0 <= before.cpu_seconds < after.cpu_seconds
        assert after.memory_bytes is not None
        assert 4096 < after.memory_bytes < 100 << 20
        assert after.started_at is not None
        assert abs((after.started_at - rig.driver.stats().taken_at).total_seconds()) < 600
        assert {item.name for item in status.containers} == {"main", "idle"}


def test_what_has_ended_is_left_out(rig: Rig) -> None:
    with rig.run(Box("true"), Box("sleep 300", name="idle", **FOREVER)) as run:
        run.until(lambda s: any(c.name == "main" and hasattr(c.state, "exit_code") for c in s.containers), "main ends")
        run.running("idle")
        wait(lambda: used(rig, run).keys() == {"idle"}, "only the one that runs")
        run.delete(0)
        assert used(rig, run) == {}


def test_the_whole_machine_is_measured_where_there_is_one(rig: Rig) -> None:
    first, second = rig.driver.stats(), rig.driver.stats()
    assert second.taken_at >= first.taken_at
    assert str(uuid.uuid4()) not in first.pods
    if "processes" in rig.features:
        assert first.cpu_seconds is not None
        assert second.cpu_seconds is not None
        assert 0 < first.cpu_seconds <= second.cpu_seconds
        assert first.memory_bytes is not None
        assert first.memory_bytes > 10 << 20
