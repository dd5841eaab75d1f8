"""Leases: one holder at a time, none after a kill, and a lost one is noticed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from interlink.ledger import FileLeases, Leases, Ledger, PostgresLeases

Make = Callable[[], Leases]


@pytest.fixture(params=["files", pytest.param("postgres", marks=pytest.mark.lab)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Give leases as several processes have them."""
    made: list[Leases] = []
    ledger = None
    if request.param == "postgres":
        ledger = Ledger(request.getfixturevalue("postgres_url"))

    def build() -> Leases:
        made.append(PostgresLeases(ledger, "id") if ledger else FileLeases(tmp_path / "lease"))
        return made[-1]

    yield build
    for leases in made:
        leases.close()
    if ledger:
        ledger.close()


def test_one_process_holds_a_lease(make: Make) -> None:
    first, second = make(), make()
    assert first.acquire("h1")
    assert first.acquire("h1")
    assert not second.acquire("h1")
    assert second.acquire("h2")
    assert (first.held(), second.held()) == ({"h1"}, {"h2"})


def test_a_released_lease_is_free(make: Make) -> None:
    first, second = make(), make()
    first.acquire("h1")
    first.release("h1")
    first.release("h1")
    assert first.held() == frozenset()
    assert second.acquire("h1")
    assert not first.acquire("h1")


def test_closing_releases_everything(make: Make) -> None:
    first, second = make(), make()
    assert first.acquire("h1")
    assert first.acquire("a/../b")
    first.close()
    assert first.held() == frozenset()
    assert second.acquire("h1")
    assert second.acquire("a/../b")


HOLDER = """
import sys, time
from pathlib import Path
from interlink.ledger import FileLeases, Ledger, PostgresLeases
where = sys.argv[1]
leases = PostgresLeases(Ledger(where), "id") if "://" in where else FileLeases(Path(where))
print(leases.acquire("h1"), flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("kind", ["files", pytest.param("postgres", marks=pytest.mark.lab)])
def test_a_killed_process_holds_nothing(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    where = request.getfixturevalue("postgres_url") if kind == "postgres" else str(tmp_path / "lease")
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", HOLDER, where], stdout=subprocess.PIPE, cwd=root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        ledger = Ledger(where) if kind == "postgres" else None
        leases = PostgresLeases(ledger, "id") if ledger else FileLeases(tmp_path / "lease")
        with closing(leases):
            assert not leases.acquire("h1")
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            until = time.monotonic() + 120
            while not leases.acquire("h1"):
                assert time.monotonic() < until
                time.sleep(0.02)
        if ledger:
            ledger.close()


@pytest.mark.lab
def test_a_lost_session_is_noticed_and_another_takes_over(postgres_url: str) -> None:
    with closing(Ledger(postgres_url)) as ledger:
        first, second = PostgresLeases(ledger, "id"), PostgresLeases(ledger, "id")
        with closing(first), closing(second):
            assert first.acquire("h1")
            with ledger.engine.begin() as connection:
                connection.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
                        " WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
                    )
                )
            assert first.held() == frozenset()
            assert second.acquire("h1")
            assert not first.acquire("h1")


@pytest.mark.lab
def test_other_server_ids_have_leases_of_their_own(postgres_url: str) -> None:
    with closing(Ledger(postgres_url)) as ledger:
        first, second = PostgresLeases(ledger, "one"), PostgresLeases(ledger, "two")
        with closing(first), closing(second):
            assert first.acquire("h1")
            assert second.acquire("h1")
