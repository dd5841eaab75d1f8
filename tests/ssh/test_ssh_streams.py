"""Following output, and leaving: nothing may stay behind on the host."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from interlink.errors import ConnectionLost, Unavailable
from tests.lab.process import wait_until
from tests.ssh.conftest import Site

pytestmark = pytest.mark.lab


def sleeps(server: Any) -> list[Any]:
    return [stat for stat in server.commands() if stat.comm == "sleep"]


def test_chunks_come_as_they_are_written(site: Site) -> None:
    stream = site.connect().stream("echo one; sleep 1; echo two; echo bad >&2; exit 6")
    chunks = iter(stream)
    started = time.monotonic()
    assert next(chunks) == b"one\n"
    assert time.monotonic() - started < 10
    assert b"".join(chunks) == b"two\n"
    assert (stream.result().code, stream.result().stderr) == (6, b"bad\n")


def test_many_bytes(site: Site) -> None:
    stream = site.connect().stream("head -c 20000000 /dev/urandom | tee /dev/null; echo end")
    assert sum(map(len, stream)) == 20_000_004


def test_closed_by_another_thread_while_silent(site: Site) -> None:
    server = site.server()
    stream = site.connect(server).stream("sleep 4711 & sleep 4712")
    wait_until(lambda: len(sleeps(server)) >= 2, 20, "the command")
    threading.Timer(0.3, stream.close).start()
    started = time.monotonic()
    assert list(stream) == []
    assert time.monotonic() - started < 10
    wait_until(lambda: not [s for s in sleeps(server) if b"471" in _argv(s)], 20, "the end of the command")


def _argv(stat: Any) -> bytes:
    try:
        with open(f"/proc/{stat.pid}/cmdline", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def test_closed_while_it_floods(site: Site) -> None:
    """The reader is slow, the windows are full, and still closing ends it."""
    server = site.server()
    connection = site.connect(server)
    stream = connection.stream("cat /dev/zero")
    next(iter(stream))
    time.sleep(1)
    stream.close()
    stream.close()
    wait_until(lambda: not [s for s in server.commands() if s.comm == "cat"], 20, "the end of the flood")
    assert connection.run("echo fine").stdout == b"fine\n"


def test_command_that_ignores_term(site: Site) -> None:
    server = site.server()
    stream = site.connect(server).stream("trap '' TERM HUP PIPE; echo on; sleep 4711; sleep 4712; sleep 4713")
    next(iter(stream))
    stream.close()
    wait_until(lambda: not [s for s in sleeps(server) if b"471" in _argv(s)], 30, "the end of the command")


def test_lost_connection_ends_the_iteration_and_the_command(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    stream = connection.stream("echo on; sleep 4711")
    chunks = iter(stream)
    next(chunks)
    server.kill_connections()
    with pytest.raises(ConnectionLost):
        next(chunks)
    wait_until(lambda: not server.commands(), 30, "the end of the command")
    with pytest.raises(ConnectionLost):
        stream.result()


def test_frozen_sshd_is_noticed_by_a_silent_stream(site: Site) -> None:
    server = site.server()
    chunks = iter(site.connect(server).stream("echo on; sleep 4711"))
    next(chunks)
    server.pause_connections()
    started = time.monotonic()
    with pytest.raises(ConnectionLost):
        next(chunks)
    assert time.monotonic() - started < 60


def test_leftover_of_a_stream_that_ended_by_itself(site: Site) -> None:
    server = site.server()
    stream = site.connect(server).stream("sleep 4711 >/dev/null 2>&1 & echo started")
    assert b"".join(stream) == b"started\n"
    wait_until(lambda: not [s for s in sleeps(server) if b"471" in _argv(s)], 20, "the end of what it left")


@pytest.mark.parametrize("sessions", [2, 4])
def test_more_streams_than_sessions_open_further_connections(site: Site, sessions: int) -> None:
    server = site.server(options={"MaxSessions": str(sessions)})
    connection = site.connect(server, interlink_sessions=sessions)
    streams = [connection.stream(f"echo {number}; sleep 4711") for number in range(3)]
    assert [next(iter(stream)) for stream in streams] == [b"0\n", b"1\n", b"2\n"]
    assert connection.run("echo between").stdout == b"between\n"
    for stream in streams:
        stream.close()


def test_max_sessions_lower_than_told(site: Site) -> None:
    server = site.server(options={"MaxSessions": "3"})
    connection = site.connect(server)
    streams = [connection.stream(f"echo {number}; sleep 4711") for number in range(3)]
    assert [next(iter(stream)) for stream in streams] == [b"0\n", b"1\n", b"2\n"]
    assert connection.run("echo between").stdout == b"between\n"


def test_too_many_streams_are_refused_by_name(site: Site) -> None:
    connection = site.connect(interlink_sessions=2)
    streams = [connection.stream("sleep 4711") for _ in range(3)]
    with pytest.raises(Unavailable, match="too many streams"):
        connection.stream("sleep 4711")
    streams[0].close()
    connection.stream("sleep 4711").close()


def test_close_of_the_connection_ends_streams(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    stream = connection.stream("sleep 4711")
    threading.Timer(0.3, connection.close).start()
    assert list(stream) == []
    wait_until(lambda: not server.commands(), 30, "the end of the command")


def test_streams_come_and_go(site: Site) -> None:
    server = site.server(options={"MaxSessions": "10"})
    connection = site.connect(server)
    for number in range(40):
        stream = connection.stream(f"echo {number}; sleep 4711")
        assert next(iter(stream)) == f"{number}\n".encode()
        stream.close()
    assert connection.run("echo after").stdout == b"after\n"
