"""Deletes: TERM, grace, KILL, and nothing that survives."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from interlink import errors
from interlink.model.status import Phase
from tests.contract.support import FOREVER, Box, Rig, ended

PATIENT = "trap 'echo handled; sleep 1; echo done; exit 3' TERM; echo up; while :; do sleep 0.1; done 2>/dev/null"
STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.1; done 2>/dev/null"


@pytest.mark.needs("host")
def test_a_term_handler_keeps_its_code_and_last_lines(rig: Rig) -> None:
    with rig.run(Box(PATIENT, log="up\n", stop=0.3, stop_code=3, **FOREVER)) as run:
        run.logged(b"up\n")
        final = run.delete(grace=60)
        assert final is not None
        assert final.phase is Phase.FAILED
        assert ended(final).exit_code == 3
        if "processes" in rig.features:
            assert run.log() == b"up\nhandled\ndone\n"


@pytest.mark.needs("host")
def test_a_term_handler_that_ends_well_gives_success(rig: Rig) -> None:
    script = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done 2>/dev/null"
    with rig.run(Box(script, log="up\n", stop_code=0, **FOREVER)) as run:
        run.logged(b"up\n")
        final = run.delete(grace=60)
        assert final is not None
        assert final.phase is Phase.SUCCEEDED


@pytest.mark.needs("host")
def test_term_ignored_is_killed_after_grace(rig: Rig) -> None:
    with rig.run(Box(STUBBORN, log="up\n", stop="forever", **FOREVER)) as run:
        run.logged(b"up\n")
        began = time.monotonic()
        final = run.delete(grace=2)
        assert time.monotonic() - began >= 1.5
        assert final is not None
        assert final.phase is Phase.FAILED
        assert ended(final).exit_code == 137


@pytest.mark.needs("host")
def test_no_grace_kills_at_once(rig: Rig) -> None:
    with rig.run(Box(STUBBORN, log="up\n", stop="forever", **FOREVER)) as run:
        run.logged(b"up\n")
        final = run.delete(grace=0)
        assert final is not None
        assert ended(final).exit_code == 137


@pytest.mark.needs("host")
def test_the_pods_own_grace_counts(rig: Rig) -> None:
    box = Box(STUBBORN, log="up\n", stop="forever", **FOREVER)
    with rig.run(box, terminationGracePeriodSeconds=1) as run:
        run.logged(b"up\n")
        final = run.delete()
        assert final is not None
        assert ended(final).exit_code == 137


def test_a_second_delete_can_only_shorten_the_grace(rig: Rig) -> None:
    with rig.run(Box(STUBBORN, log="up\n", stop="forever", **FOREVER), terminationGracePeriodSeconds=600) as run:
        run.logged(b"up\n")
        with suppress(errors.Unavailable):  # still stopping
            rig.driver.delete(run.ref)
        run.delete(grace=0)
        assert run.status() is None


@pytest.mark.needs("processes")
def test_a_process_without_handler_ends_within_grace(rig: Rig) -> None:
    with rig.run(Box(argv=["sleep", "300"])) as run:
        run.running()
        final = run.delete(grace=2)
        if final is not None:
            assert ended(final).exit_code in (137, 143)


@pytest.mark.needs("processes")
def test_children_do_not_survive_their_parent(rig: Rig) -> None:
    script = "(trap '' TERM HUP; while :; do echo alive; sleep 0.2; done) & echo up; exit 0"
    with rig.run(Box(script, name="parent"), Box("sleep 300", **FOREVER)) as run:
        run.until(lambda s: ended_yet(s, "parent"), "the parent ends")
        log = run.log("parent")
        time.sleep(1)
        assert run.log("parent") == log


@pytest.mark.needs("processes")
def test_children_do_not_survive_a_delete(rig: Rig) -> None:
    script = "(trap '' TERM HUP; while :; do echo alive; sleep 0.2; done) & echo up; sleep 300"
    with rig.run(Box(script)) as run:
        run.logged(b"alive")
        run.delete(grace=1)
        if "host" in rig.features:
            log = run.log()
            time.sleep(1)
            assert run.log() == log


def ended_yet(status: object, name: str) -> bool:
    try:
        ended(status, name)  # type: ignore[arg-type]
    except AssertionError:
        return False
    return True


@pytest.mark.needs("images")
def test_a_delete_during_the_stop_at_a_deadline_lets_it_finish(rig: Rig) -> None:
    box = Box("trap 'echo stopping; sleep 4; exit 5' TERM; echo up; while :; do sleep 0.1; done")
    with rig.run(box, activeDeadlineSeconds=rig.deadline, terminationGracePeriodSeconds=30) as run:
        run.logged(b"stopping\n")
        final = run.delete()
        assert final is not None
        assert ended(final).exit_code == 5
