"""Several login nodes as one connection."""

from __future__ import annotations

import pytest

from interlink.errors import ConnectionLost, HostUnreachable
from interlink.remote.connection import Result, Stream
from interlink.remote.failover import FailoverConnection


class Member:
    def __init__(self, name: str) -> None:
        self.name = name
        self.error: Exception | None = None
        self.calls = 0

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0, limit: int = 0) -> Result:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return Result(0, self.name.encode())

    def stream(self, script: str, *, timeout: float = 30.0) -> Stream:
        raise HostUnreachable("none")

    def close(self) -> None:
        self.calls = -1


def cluster() -> tuple[FailoverConnection, Member, Member, list[float]]:
    one, two, now = Member("one"), Member("two"), [0.0]
    return FailoverConnection("c", [one, two], clock=lambda: now[0]), one, two, now


def test_the_first_is_used_as_long_as_it_answers() -> None:
    connection, _, two, _ = cluster()
    assert [connection.run("").text for _ in range(3)] == ["one"] * 3
    assert two.calls == 0


def test_one_that_is_away_is_left_and_the_other_kept() -> None:
    connection, one, _, now = cluster()
    one.error = HostUnreachable("away")
    assert connection.run("").text == "two"
    one.error, now[0] = None, 1000.0
    assert connection.run("").text == "two"
    assert connection.current == "two"


def test_what_may_have_been_sent_is_not_sent_again() -> None:
    connection, one, two, _ = cluster()
    one.error = ConnectionLost("broke")
    with pytest.raises(ConnectionLost):
        connection.run("")
    assert two.calls == 0
    assert connection.run("").text == "two"


def test_a_dead_one_is_taken_back_when_it_is_needed() -> None:
    connection, one, two, _ = cluster()
    one.error = HostUnreachable("away")
    connection.run("")
    one.error, two.error = None, HostUnreachable("away")
    assert connection.run("").text == "one"


def test_none_left_names_them_all() -> None:
    connection, one, two, _ = cluster()
    one.error, two.error = HostUnreachable("first"), HostUnreachable("second")
    with pytest.raises(HostUnreachable, match=r"first.*second"):
        connection.run("")
