"""Lost, frozen and refusing servers: an error of the right kind, in time, and a way back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from interlink.errors import (
    ConnectionLost,
    DeadlineExceeded,
    HostUnreachable,
    InterlinkError,
    OutcomeUnknown,
    Unavailable,
)
from interlink.remote.connection import Connection
from tests.lab.process import wait_until
from tests.ssh.conftest import Site

pytestmark = pytest.mark.lab


class Call:
    """A call in a thread of its own, with its error and its duration."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self.value: object = None
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._run, args=(call,))
        self._thread.start()

    def _run(self, call: Callable[[], object]) -> None:
        started = time.monotonic()
        try:
            self.value = call()
        except InterlinkError as error:
            self.error = error
        self.seconds = time.monotonic() - started

    def wait(self) -> Call:
        self._thread.join(120)
        assert not self._thread.is_alive(), "the call hangs"
        return self


def until_works(connection: Connection) -> None:
    """Call until the back-off has passed."""

    def works() -> bool:
        try:
            return connection.run("echo back", timeout=30).stdout == b"back\n"
        except HostUnreachable:
            return False

    wait_until(works, 60, "the connection to come back")


def test_sshd_killed_in_the_middle_of_a_command(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    call = Call(lambda: connection.run("sleep 4711", timeout=100))
    wait_until(lambda: any(stat.comm == "sleep" for stat in server.commands()), 20, "the command")
    time.sleep(0.3)
    server.kill_connections()
    assert isinstance(call.wait().error, ConnectionLost)
    assert call.seconds < 30
    until_works(connection)


def test_sshd_gone_and_back(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    server.kill()
    time.sleep(0.5)  # a command into the dying connection would be lost, not refused
    with pytest.raises(HostUnreachable, match=r"host h1: cannot connect to labuser@.*refused"):
        connection.run("true")
    server.start()
    until_works(connection)


def test_connection_lost_while_idle_is_reopened_unseen(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    server.kill_connections()
    time.sleep(0.5)
    assert connection.run("echo again").stdout == b"again\n"


def test_sshd_frozen_during_a_command(site: Site) -> None:
    """The ping finds out long before the caller's own deadline."""
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    call = Call(lambda: connection.run("sleep 4711", timeout=110))
    time.sleep(0.5)
    server.pause_connections()
    assert isinstance(call.wait().error, ConnectionLost)
    assert call.seconds < 60
    until_works(connection)


def test_sshd_frozen_before_a_command(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    server.pause_connections()
    call = Call(lambda: connection.run("echo lost", timeout=1.0)).wait()
    assert isinstance(call.error, DeadlineExceeded)
    assert call.seconds < 10


def test_sshd_frozen_with_large_stdin(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    server.pause_connections()
    calls = [Call(lambda: connection.run("cat", stdin=os.urandom(20 << 20), timeout=2.0)) for _ in range(3)]
    for call in calls:
        assert isinstance(call.wait().error, OutcomeUnknown | Unavailable)  # or still without a shell of its own
        assert call.seconds < 20
    server.resume()
    until_works(connection)


def test_frozen_listener(site: Site) -> None:
    """Connecting ends by the caller's deadline, although the handshake goes on waiting."""
    server = site.server()
    connection = site.connect(server)
    server.pause_listener()
    call = Call(lambda: connection.run("true", timeout=1.0)).wait()
    assert isinstance(call.error, HostUnreachable)
    assert call.seconds < 10
    server.resume()
    until_works(connection)


def test_frozen_host_does_not_slow_another(site: Site) -> None:
    frozen, fine = site.server(), site.server()
    pool = site.pool()
    stuck, free = pool.connection(site.host(frozen, "stuck")), pool.connection(site.host(fine, "free"))
    stuck.run("true")
    frozen.pause()
    calls = [Call(lambda: stuck.run("true", timeout=5)) for _ in range(20)]
    for _ in range(20):
        assert free.run("echo free", timeout=20).stdout == b"free\n"
    for call in calls:
        assert isinstance(call.wait().error, OutcomeUnknown | Unavailable)


def test_packets_dropped(site: Site, namespace_factory: Any) -> None:
    namespace = namespace_factory()
    server = site.server(namespace=namespace, port=22)
    connection = site.connect(server)
    connection.run("true")
    call = Call(lambda: connection.run("sleep 4711", timeout=110))
    time.sleep(0.5)
    namespace.drop_packets()
    late = Call(lambda: connection.run("true", timeout=1.0)).wait()
    assert isinstance(late.error, OutcomeUnknown | Unavailable)
    assert late.seconds < 10
    assert isinstance(call.wait().error, ConnectionLost)
    assert call.seconds < 60
    # The host learns nothing: what runs there ends by itself.
    wait_until(lambda: not server.commands(), 90, "the end of the commands on a host that hears nothing")
    namespace.pass_packets()
    until_works(connection)


def test_handshakes_past_max_startups(site: Site) -> None:
    """Of many connections at once sshd drops some; each comes by in the end, none hangs."""
    server = site.server(options={"MaxStartups": "2:100:4", "LoginGraceTime": "60"})
    pool = site.pool()
    connections = [pool.connection(site.host(server, f"h{number}")) for number in range(24)]
    refused: list[str] = []

    def login(connection: Connection) -> bytes:
        for _ in range(500):
            try:
                return connection.run("echo in", timeout=60).stdout
            except HostUnreachable as error:
                refused.append(str(error))
                time.sleep(0.2)
        return b""

    with ThreadPoolExecutor(24) as threads:
        assert list(threads.map(login, connections)) == [b"in\n"] * 24
    assert any("no SSH greeting" in error for error in refused), "the server was not overrun: the test shows nothing"


def test_connects_per_minute_are_capped(site: Site) -> None:
    server = site.server()
    connection = site.connect(server, interlink_connects_per_minute=2)
    for _ in range(2):
        connection.run("true")
        server.kill_connections()
        time.sleep(0.3)
    with pytest.raises(HostUnreachable, match="interlink_connects_per_minute"):
        connection.run("true")
    assert server.log.count("Accepted publickey") == 2


def test_unknown_host_name(site: Site) -> None:
    connection = site.connect(ansible_host="no-such-host.invalid")
    with pytest.raises(HostUnreachable, match=r"no-such-host\.invalid"):
        connection.run("true")


def test_shell_killed_from_outside(site: Site) -> None:
    """Another's kill of our idle shells is noticed before a command is lost to it."""
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    for stat in server.commands():
        os.kill(stat.pid, 9)
    time.sleep(0.5)
    assert connection.run("echo here").stdout == b"here\n"


def test_close_while_commands_run(site: Site) -> None:
    connection = site.connect()
    connection.run("true")
    calls = [Call(lambda: connection.run("sleep 4711", timeout=100)) for _ in range(6)]
    time.sleep(1)
    connection.close()
    for call in calls:
        assert isinstance(call.wait().error, ConnectionLost | HostUnreachable)


def test_close_while_connecting(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    server.pause_listener()
    call = Call(lambda: connection.run("true", timeout=60))
    time.sleep(0.5)
    connection.close()
    assert isinstance(call.wait().error, HostUnreachable)
    assert call.seconds < 30
