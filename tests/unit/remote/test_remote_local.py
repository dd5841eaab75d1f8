"""This machine as a host: the semantics of SSH without SSH."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interlink.errors import ConnectionLost, DeadlineExceeded
from interlink.remote.local import LocalConnection
from interlink.remote.tuning import Tuning


@pytest.fixture
def connection() -> Iterator[LocalConnection]:
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    connection = LocalConnection("here", tuning=Tuning(grace=1))
    yield connection
    connection.close()
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= files


def own(seconds: str) -> str:
    """Return seconds to sleep that no other test run on this machine has."""
    return f"{seconds}.{os.getpid()}"


def marked(mark: str) -> list[str]:
    """The processes with this word among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(entry.name)
        except OSError:
            continue
    return found


def gone(mark: str) -> bool:
    deadline = time.monotonic() + 120
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not marked(mark)


def test_commands_of_many_threads(connection: LocalConnection) -> None:
    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda n: connection.run(f"cat; exit {n}", stdin=b"%d" % n), range(64)))
    assert [(r.code, r.stdout) for r in results] == [(n, b"%d" % n) for n in range(64)]


def test_large_stdin_and_output(connection: LocalConnection) -> None:
    data = os.urandom(9_000_001)
    assert connection.run("cat", stdin=data).stdout == data
    assert connection.run("exit 2", stdin=data).code == 2


def test_deadline_ends_the_whole_group(connection: LocalConnection) -> None:
    assert connection.run("echo on").stdout == b"on\n"  # opening it is not what has the deadline here
    with pytest.raises(DeadlineExceeded):
        connection.run(f"sleep {own('4710001')} & sleep {own('4710001')}", timeout=0.3)
    assert gone(own("4710001"))
    assert connection.run("echo on").stdout == b"on\n"


def test_stream_closed_by_another_thread(connection: LocalConnection) -> None:
    stream = connection.stream(f"echo first; sleep {own('4710002')}")
    chunks = iter(stream)
    assert next(chunks) == b"first\n"
    threading.Timer(0.2, stream.close).start()
    assert list(chunks) == []
    assert gone(own("4710002"))


def test_stream_to_its_end(connection: LocalConnection) -> None:
    stream = connection.stream("head -c 3000000 /dev/zero; echo why >&2; exit 3")
    assert sum(map(len, stream)) == 3_000_000
    assert (stream.result().code, stream.result().stderr) == (3, b"why\n")


def test_killed_shell_is_a_lost_connection(connection: LocalConnection) -> None:
    with pytest.raises(ConnectionLost):
        connection.run("kill -9 $$")
    assert connection.run("echo on").stdout == b"on\n"


ORPHAN = """
import os, sys, time
from interlink.remote.link import Link
from interlink.remote.local import LocalConnection

tell = Link._tell
def late(link, line):
    time.sleep(float(sys.argv[2]))
    tell(link, line)
Link._tell = late

stream = LocalConnection("here").stream("echo on; sleep " + sys.argv[1])
next(iter(stream))
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("delay", ["0", "1"])
def test_nothing_outlives_a_killed_process(delay: str) -> None:
    """Also where the order to look after the command is slow to leave."""
    mark = own("4710003")
    assert subprocess.run([sys.executable, "-c", ORPHAN, mark, delay], check=False).returncode == -9
    assert gone(mark)
