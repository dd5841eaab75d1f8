"""Create, status, logs, delete; once, twice, at the same time, and in the wrong order."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from interlink import errors
from interlink.model.driver import LogQuery
from interlink.model.pod import PodRef
from interlink.model.status import Kind, Phase
from tests.contract.support import FOREVER, Box, Rig, delete, ended


def test_life(rig: Rig) -> None:
    with rig.run(Box("echo hello", log="hello\n")) as run:
        status = run.ended()
        assert status.phase is Phase.SUCCEEDED
        assert (status.uid, status.namespace, status.name) == (run.uid, "contract", run.request.pod.name)
        only = ended(status)
        assert (only.exit_code, only.reason) == (0, "Completed")
        assert only.started_at is not None
        assert only.finished_at is not None
        assert only.started_at <= only.finished_at
        assert run.log() == b"hello\n"
        assert run.log("main") == b"hello\n"
    assert run.status() is None


def test_create_names_the_pod(rig: Rig) -> None:
    request = rig.pod(Box("sleep 300", **FOREVER))
    with rig.launch(request) as run:
        again = rig.driver.create(request)
        assert again.uid == run.uid
        assert again.outcome == "existing"
        assert again.jid


def test_every_container_is_reported_at_once(rig: Rig) -> None:
    with rig.run(Box("sleep 300", **FOREVER), inits=[Box("sleep 300", name="first", **FOREVER)]) as run:
        status = run.status()
        assert status is not None
        assert [(c.name, c.kind) for c in status.containers] == [("first", Kind.INIT), ("main", Kind.MAIN)]


def test_create_by_eight_at_once_is_one_pod(rig: Rig) -> None:
    request = rig.pod(Box("echo once; sleep 300", log="once\n", **FOREVER))
    with rig.launch(request) as run, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: rig.driver.create(request), range(8)))
        assert {answer.outcome for answer in answers} == {"existing"}
        run.running()
        run.logged(b"once")
        assert run.log() == b"once\n"


def test_first_create_by_eight_at_once_is_one_pod(rig: Rig) -> None:
    request = rig.pod(Box("echo once; sleep 300", log="once\n", **FOREVER))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: rig.driver.create(request), range(8)))
    with rig.launch(request) as run:
        assert [answer.outcome for answer in answers].count("new") <= 1
        run.running()
        run.logged(b"once")
        assert run.log() == b"once\n"


@pytest.mark.needs("host")
@pytest.mark.parametrize("when", ["before", "after"])
def test_create_whose_answer_was_lost_is_made_again(rig: Rig, when: str) -> None:
    assert rig.lose is not None
    request = rig.pod(Box("echo once; sleep 300", log="once\n", **FOREVER))
    rig.lose(request.pod.uid, when)
    with pytest.raises(errors.OutcomeUnknown):
        rig.driver.create(request)
    with rig.launch(request) as run:
        run.running()
        run.logged(b"once")
        assert run.log() == b"once\n"


def test_delete_twice(rig: Rig) -> None:
    with rig.run(Box("sleep 300", **FOREVER)) as run:
        run.running()
        run.delete(grace=0)
        run.delete(grace=0)
        assert run.status() is None


def test_delete_of_an_unknown_pod_is_a_success(rig: Rig) -> None:
    delete(rig.driver, PodRef(str(uuid.uuid4()), "contract", "never-was"))


def test_delete_before_create_stays_deleted(rig: Rig) -> None:
    request = rig.pod(Box("sleep 300", **FOREVER))
    delete(rig.driver, PodRef.of(request.pod))
    assert rig.driver.create(request).outcome == "deleted"
    assert rig.driver.status([PodRef.of(request.pod)]) == []


def test_create_after_delete_stays_deleted(rig: Rig) -> None:
    with rig.run(Box()) as run:
        run.ended()
        run.delete()
        assert rig.driver.create(run.request).outcome == "deleted"
        assert run.status() is None


def test_create_and_delete_at_once_leave_nothing(rig: Rig) -> None:
    requests = [rig.pod(Box("sleep 300", **FOREVER)) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        creates = [pool.submit(rig.driver.create, request) for request in requests]
        deletes = [pool.submit(delete, rig.driver, PodRef.of(request.pod), 0) for request in requests]
        for future in (*creates, *deletes):
            future.result()
    assert rig.driver.status([PodRef.of(request.pod) for request in requests]) == []


@pytest.mark.needs("host")
def test_delete_tells_the_final_status_also_when_repeated(rig: Rig) -> None:
    with rig.run(Box("exit 5", code=5)) as run:
        run.ended()
        for _ in range(2):
            final = run.delete()
            assert final is not None
            assert final.phase is Phase.FAILED
            assert ended(final).exit_code == 5


@pytest.mark.needs("host")
def test_logs_and_final_status_outlive_the_pod(rig: Rig) -> None:
    with rig.run(Box("echo kept; exit 4", log="kept\n", code=4)) as run:
        run.ended()
        run.delete()
        assert run.log() == b"kept\n"
        seen = rig.driver.observe([run.uid]).pods
        assert ended(seen[run.uid]).exit_code == 4
        assert run.uid not in rig.driver.listing().pods


def test_status_of_unknown_pods(rig: Rig) -> None:
    with rig.run(Box("sleep 300", **FOREVER)) as run:
        unknown = PodRef(str(uuid.uuid4()), "contract", "never-was")
        assert rig.driver.status([unknown]) == []
        assert [s.uid for s in rig.driver.status([unknown, run.ref, unknown])] == [run.uid]
        assert rig.driver.status([]) == []


def test_status_of_all(rig: Rig) -> None:
    with rig.run(Box("sleep 300", **FOREVER)) as one, rig.run(Box("sleep 300", **FOREVER)) as other:
        assert {one.uid, other.uid} <= {s.uid for s in rig.driver.status(None)}


def test_logs_of_what_is_unknown(rig: Rig) -> None:
    with pytest.raises(errors.NotFound):
        b"".join(rig.driver.logs(LogQuery(PodRef(str(uuid.uuid4()), "contract", "never-was"), "main")))
    with rig.run(Box()) as run, pytest.raises(errors.NotFound):
        run.log("nobody")


def test_ping(rig: Rig) -> None:
    assert rig.driver.ping().status == "ok"
