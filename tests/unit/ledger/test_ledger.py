"""The ledger's transitions, on SQLite and on PostgreSQL."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st

from interlink.errors import ConfigError, InputError, Unavailable
from interlink.ledger import Ledger, PodRow, engine, upgrade
from interlink.ledger.codec import dump_status, load_status
from interlink.ledger.tables import metadata
from interlink.model.pod import Pod
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, Terminated, Waiting

URLS = ["sqlite", pytest.param("postgres", marks=pytest.mark.lab)]
Open = Callable[[], Ledger]


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def open_ledger(url: str) -> Iterator[Open]:
    """Open the same ledger as often as one likes, as several processes do."""
    opened: list[Ledger] = []

    def make() -> Ledger:
        opened.append(Ledger(url))
        return opened[-1]

    yield make
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Open) -> Ledger:
    return open_ledger()


def row(uid: str = "u1", host: str | None = None) -> PodRow:
    manifest = {
        "metadata": {"uid": uid, "namespace": "ns", "name": f"pod-{uid}", "annotations": {"a": "hidden"}},
        "spec": {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 7,
            "activeDeadlineSeconds": 99,
            "initContainers": [{"name": "side", "image": "s", "restartPolicy": "Always"}],
            "containers": [
                {
                    "name": "main",
                    "image": "m",
                    "args": ["hidden"],
                    "env": [{"name": "E", "value": "hidden"}],
                    "resources": {"limits": {"cpu": 2}},
                }
            ],
        },
    }
    return PodRow.accepted(Pod(manifest), node="vk", host=host, now=1000.25, origin="cluster-1")


def running(uid: str = "u1") -> PodStatus:
    return PodStatus(uid, jid="j2", phase=Phase.RUNNING, containers=(ContainerStatus("main", state=Running()),))


def ended(uid: str = "u1", code: int = 0) -> PodStatus:
    phase = Phase.FAILED if code else Phase.SUCCEEDED
    return PodStatus(uid, phase=phase, containers=(ContainerStatus("main", state=Terminated(code)),))


def only(ledger: Ledger) -> PodRow:
    (found,) = ledger.rows()
    return found


def test_the_schema_is_that_of_the_last_step() -> None:
    assert upgrade.head() == engine.SCHEMA


def test_an_accepted_pod_is_read_back_as_it_was(ledger: Ledger) -> None:
    assert ledger.accept(row())
    found = only(ledger)
    assert replace(found, revision=0) == row()
    assert found.containers[0].kind is Kind.SIDECAR
    assert found.containers[1].requests == {"cpu": "2"}
    assert (found.grace, found.deadline, found.restart_policy) == (7, 99, "OnFailure")


def test_a_uid_is_accepted_once(ledger: Ledger, open_ledger: Open) -> None:
    others = [open_ledger() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: others[i % 4].accept(row()), range(16)))
    assert answers.count(True) == 1
    assert only(ledger).uid == "u1"


def test_a_delete_that_comes_first_wins(ledger: Ledger) -> None:
    assert not ledger.delete("u1", grace=None, now=1.0)
    assert not ledger.delete("u1", grace=None, now=2.0)
    assert not ledger.accept(row())
    assert ledger.rows() == []
    assert ledger.deleted_unknown() == {"u1"}


def test_a_pod_is_placed_once(ledger: Ledger, open_ledger: Open) -> None:
    ledger.accept(row())
    other = open_ledger()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: other.place("u1", host=f"h{i}", node="vk"), range(8)))
    assert answers.count(True) == 1
    assert only(ledger).host == f"h{answers.index(True)}"


def test_a_deleted_pod_is_not_placed(ledger: Ledger) -> None:
    ledger.accept(row())
    ledger.delete("u1", grace=3, now=1.0)
    assert not ledger.place("u1", host="h", node="vk")
    assert only(ledger).host is None


def test_a_launched_pod_is_not_unplaced(ledger: Ledger) -> None:
    ledger.accept(row(host="h"))
    assert not ledger.unplace("u1", "other")
    assert ledger.launched("u1", jid="j", now=2.0)
    assert not ledger.unplace("u1", "h")
    assert only(ledger).host == "h"


def test_an_unsent_pod_is_unplaced(ledger: Ledger) -> None:
    ledger.accept(row(host="h"))
    assert ledger.unplace("u1", "h")
    assert only(ledger).host is None


def test_a_pod_is_launched_or_refused_but_not_both(ledger: Ledger) -> None:
    ledger.accept(row("u1", "h"))
    ledger.accept(row("u2", "h"))
    assert ledger.launched("u1", jid="j", now=2.0)
    assert not ledger.launched("u1", jid="k", now=3.0)
    assert not ledger.refused("u1", status=ended("u1", 1), now=3.0)
    assert ledger.refused("u2", status=ended("u2", 1), now=3.0)
    first, second = ledger.row("u1"), ledger.row("u2")
    assert first
    assert second
    assert (first.jid, first.launched_at, first.final) == ("j", 2.0, False)
    assert (second.refused_at, second.final, second.status) == (3.0, True, ended("u2", 1))


def test_only_a_deleted_pod_is_confirmed(ledger: Ledger) -> None:
    ledger.accept(row())
    assert not ledger.confirm("u1", status=ended(), now=2.0)
    assert only(ledger).status is None
    assert ledger.delete("u1", grace=3, now=1.0)
    assert ledger.confirm("u1", status=ended(), now=2.0)
    found = only(ledger)
    assert (found.target, found.delete_grace, found.deleted_at, found.confirmed_at) == ("deleted", 3, 1.0, 2.0)
    assert (found.status, found.final) == (ended(), True)


@pytest.mark.parametrize(
    ("first", "second", "grace"), [(3, 9, 3), (9, 3, 3), (None, 3, 3), (None, 9, None), (3, None, 3), (3, 0, 0)]
)
def test_a_second_delete_can_only_shorten_the_grace(
    ledger: Ledger, first: int | None, second: int | None, grace: int | None
) -> None:
    ledger.accept(row())  # whose own grace is 7
    ledger.delete("u1", grace=first, now=1.0)
    assert ledger.delete("u1", grace=second, now=5.0)
    assert (only(ledger).delete_grace, only(ledger).deleted_at) == (grace, 1.0)


def test_a_final_status_stays(ledger: Ledger) -> None:
    ledger.accept(row())
    ledger.save_statuses([running()])
    assert (only(ledger).status, only(ledger).final, only(ledger).jid) == (running(), False, "j2")
    ledger.save_statuses([ended(code=3)])
    ledger.save_statuses([running()])
    ledger.delete("u1", grace=None, now=1.0)
    ledger.confirm("u1", status=ended(code=9), now=2.0)
    assert only(ledger).status == ended(code=3)


def test_statuses_are_saved_in_one_transaction(ledger: Ledger) -> None:
    for i in range(50):
        ledger.accept(row(f"u{i}"))
    before = ledger.revision()
    ledger.save_statuses([running(f"u{i}") for i in range(50)])
    assert ledger.revision() == before + 1
    assert {r.status for r in ledger.rows()} == {running(f"u{i}") for i in range(50)}
    ledger.save_statuses([])
    assert ledger.revision() == before + 1


def test_observing_never_touches_the_target(ledger: Ledger) -> None:
    ledger.accept(row(host="h"))
    ledger.delete("u1", grace=4, now=1.0)
    ledger.save_statuses([running()])
    found = only(ledger)
    assert (found.target, found.delete_grace, found.host) == ("deleted", 4, "h")


def test_a_process_sees_what_others_have_written_and_only_that(ledger: Ledger, open_ledger: Open) -> None:
    other = open_ledger()
    start = ledger.revision()
    ledger.accept(row("mine"))
    other.accept(row("theirs"))
    assert [r.uid for r in ledger.rows_of_others(start)] == ["theirs"]
    now = ledger.revision()
    assert ledger.rows_of_others(now) == []
    other.delete("mine", grace=None, now=1.0)
    assert [(r.uid, r.target) for r in ledger.rows_of_others(now)] == [("mine", "deleted")]


def test_no_write_of_another_is_missed_while_many_write(ledger: Ledger, open_ledger: Open) -> None:
    other, seen, done = open_ledger(), set(), threading.Event()

    def follow() -> None:
        since = 0
        while True:
            last_round = done.is_set()
            revision = ledger.revision()
            seen.update(r.uid for r in ledger.rows_of_others(since))
            since = revision
            if last_round:
                return

    with ThreadPoolExecutor(5) as pool:
        follower = pool.submit(follow)
        list(pool.map(lambda i: other.accept(row(f"u{i}")), range(60)))
        done.set()
        follower.result()
    assert seen == {f"u{i}" for i in range(60)}


def test_old_rows_expire(ledger: Ledger) -> None:
    for uid, confirmed in (("old", 10.0), ("new", 20.0)):
        ledger.accept(row(uid))
        ledger.delete(uid, grace=None, now=1.0)
        ledger.confirm(uid, status=ended(uid), now=confirmed)
    ledger.accept(row("live"))
    ledger.delete("unknown-old", grace=None, now=10.0)
    ledger.delete("unknown-new", grace=None, now=20.0)
    assert ledger.expire(confirmed_before=15.0, unknown_before=15.0) == ["old"]
    assert {r.uid for r in ledger.rows()} == {"new", "live"}
    assert ledger.deleted_unknown() == {"unknown-new"}


def test_the_server_id_is_made_once(ledger: Ledger, open_ledger: Open) -> None:
    first = ledger.server_id()
    assert first
    assert open_ledger().server_id() == first


def test_the_migrations_make_the_tables_of_the_code(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_newer_ledger_is_refused(ledger: Ledger, url: str) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"written by a newer interLink \(its schema is 9999"):
        Ledger(url)


def test_many_processes_may_open_a_new_ledger_at_once(open_ledger: Open) -> None:
    with ThreadPoolExecutor(6) as pool:
        ledgers = list(pool.map(lambda _: open_ledger(), range(6)))
    assert len({ledger.server_id() for ledger in ledgers}) == 1


def test_no_secret_is_kept(ledger: Ledger, url: str, tmp_path: Path) -> None:
    ledger.accept(row())
    with ledger.engine.connect() as connection:
        assert "hidden" not in repr(connection.execute(sa.text("SELECT * FROM pods")).all())
    ledger.close()
    if url.startswith("sqlite"):
        assert not any(b"hidden" in path.read_bytes() for path in tmp_path.iterdir())


def test_an_sqlite_ledger_survives_a_power_cut_and_is_private(tmp_path: Path) -> None:
    with closing(Ledger(f"sqlite:///{tmp_path}/new/ledger.db")) as ledger:
        with ledger.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
        assert ledger.path is not None
        assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700


def test_the_server_id_outlives_a_lost_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(Ledger(f"sqlite:///{path}")) as ledger:
        first = ledger.server_id()
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    with closing(Ledger(f"sqlite:///{path}")) as ledger:
        assert ledger.server_id() == first


def test_a_database_that_is_away_is_said_to_be_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        Ledger("postgresql://127.0.0.1:1/none")
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        with ledger.engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE pods"))
        with pytest.raises(Unavailable, match="the ledger is away"):
            ledger.rows()


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///PATH"):
        Ledger(url)


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(Unavailable) as caught:
        Ledger("postgresql://me:hidden@127.0.0.1:1/none")
    assert "hidden" not in str(caught.value)


times = st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001
texts = st.text(max_size=8)
terminated = st.builds(Terminated, st.integers(0, 255), texts, texts, st.integers(0, 64), times, times, texts)
states = st.builds(Waiting, texts, texts) | st.builds(Running, times) | terminated
containers = st.builds(
    ContainerStatus,
    texts,
    st.sampled_from(Kind),
    texts,
    texts,
    texts,
    states,
    st.none() | terminated,
    st.booleans(),
    st.booleans(),
    st.integers(0, 9),
)
statuses = st.builds(
    PodStatus,
    texts,
    texts,
    texts,
    texts,
    st.sampled_from(Phase),
    texts,
    texts,
    st.lists(containers, max_size=3).map(tuple),
    texts,
    texts,
    times,
    times,
)


@given(statuses)
def test_any_status_is_written_and_read_back(status: PodStatus) -> None:
    assert load_status(dump_status(status)) == status


def test_keys_of_a_later_version_are_ignored() -> None:
    assert load_status({**dump_status(running()), "colour": "red"}) == running()


def test_another_server_id_is_taken_over_only_while_there_are_no_pods(ledger: Ledger, open_ledger: Open) -> None:
    ledger.server_id()
    ledger.take_over("another")
    assert [ledger.server_id(), open_ledger().server_id()] == ["another", "another"]
    ledger.accept(row("a"))
    with pytest.raises(InputError, match="has 1 pods under its present server id"):
        ledger.take_over("third")
    assert ledger.server_id() == "another"
