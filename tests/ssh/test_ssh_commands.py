"""What a script sees, and what comes back, over a real sshd."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from interlink.errors import ConnectionLost, DeadlineExceeded, Unavailable
from tests.lab.process import wait_until

pytestmark = pytest.mark.lab


def test_result_carries_code_and_both_outputs(site: Any) -> None:
    result = site.connect().run("printf 'o\\0\\n\\036'; printf e >&2; exit 7")
    assert (result.code, result.stdout, result.stderr, result.truncated) == (7, b"o\0\n\x1e", b"e", False)


@pytest.mark.parametrize("size", [0, 1, 1000, 20_000, 70_000, 131_072, 1 << 20])
def test_stdin_arrives_exactly(site: Any, size: int) -> None:
    data = os.urandom(size)
    assert site.connect().run("cat", stdin=data).stdout == data


def test_text_stdin_keeps_quotes_and_newlines(site: Any) -> None:
    text = b'it\'s "quoted" $HOME `x` \\n %s\n\n'
    assert site.connect().run("cat", stdin=text).stdout == text


def test_no_stdin_means_end_of_file(site: Any) -> None:
    assert site.connect().run("cat; read x; echo $?").stdout == b"1\n"


def test_script_cannot_disturb_the_next_one(site: Any) -> None:
    connection = site.connect()
    connection.run("cd /; set -e; x=1; trap 'echo bye' EXIT; exec 1>&2; exit 3")
    result = connection.run("echo ${x-unset} $#; pwd; trap")
    assert result.text.split("\n")[0] == "unset 0"
    assert result.text.split("\n")[1] != "/"


@pytest.mark.parametrize("script", ["if", "(", "'", "kill -9 0", "exec /bin/false", ":(", "exit 5 #", "echo \\"])
def test_broken_script_leaves_the_connection_usable(site: Any, script: str) -> None:
    connection = site.connect()
    with contextlib.suppress(ConnectionLost):  # of the script that kills its own shell
        connection.run(script, timeout=30)
    assert connection.run("echo ok").stdout == b"ok\n"


def test_hundred_mebibytes_of_stdin(site: Any) -> None:
    data = os.urandom(1 << 20) * 100
    result = site.connect().run("sha256sum", stdin=data, timeout=240)
    assert result.text.split()[0] == hashlib.sha256(data).hexdigest()


def test_eight_mebibytes_of_output(site: Any) -> None:
    connection = site.connect()
    result = connection.run("head -c 8388608 /dev/zero; head -c 8388608 /dev/zero >&2", timeout=120)
    assert (len(result.stdout), len(result.stderr), result.truncated) == (8 << 20, 8 << 20, False)


def test_limit_caps_output_and_goes_on(site: Any) -> None:
    connection = site.connect()
    result = connection.run("head -c 3000000 /dev/zero; exit 4", limit=1000)
    assert (result.code, len(result.stdout), result.truncated) == (4, 1000, True)
    assert connection.run("echo next").stdout == b"next\n"


def test_large_stdin_is_echoed_while_it_is_sent(site: Any) -> None:
    data = os.urandom(8 << 20)
    assert site.connect().run("cat", stdin=data, timeout=120).stdout == data


def test_early_exit_with_large_stdin_from_ten_threads(site: Any) -> None:
    """The end of such a command must not cross with what is still being sent (sshd drops the connection)."""
    server = site.server()
    connection = site.connect(server)
    data = os.urandom(400_000)

    def feed(number: int) -> int:
        return connection.run(f"head -c 10 >/dev/null; exit {number % 7}", stdin=data, timeout=120).code

    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(feed, range(100))) == [number % 7 for number in range(100)]
    assert server.log.count("Accepted publickey") == 1


def test_command_that_outlives_its_deadline_is_ended(site: Any) -> None:
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"0\.5 s"):
        connection.run("sleep 4711 & sh -c 'trap \"\" TERM; sleep 4712; sleep 4713'", timeout=0.5)
    assert time.monotonic() - started < 5
    wait_until(lambda: not any(stat.comm == "sleep" for stat in server.commands() if _is_ours(stat)), 30, "its end")
    assert connection.run("echo on").stdout == b"on\n"
    assert server.log.count("Accepted publickey") == 1


def _is_ours(stat: Any) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{stat.pid}/cmdline", "rb") as file:
        return b"471" in file.read()
    return False  # it has just ended


def test_deadline_with_unread_stdin_and_unread_output(site: Any) -> None:
    connection = site.connect()
    with pytest.raises(DeadlineExceeded):
        connection.run("sleep 600", stdin=os.urandom(30 << 20), timeout=2)
    assert connection.run("echo on", timeout=30).stdout == b"on\n"


def test_fifty_threads_on_an_unopened_connection_open_it_once(site: Any) -> None:
    server = site.server()
    connection = site.connect(server)
    barrier = threading.Barrier(50)

    def call(number: int) -> bytes:
        barrier.wait()
        return connection.run(f"echo {number}", timeout=60).stdout

    with ThreadPoolExecutor(50) as threads:
        assert list(threads.map(call, range(50))) == [f"{number}\n".encode() for number in range(50)]
    assert (
        server.log.count("Connection from") - 1 == server.log.count("Accepted publickey") == 1
    )  # one was the lab's probe


@pytest.mark.parametrize("told", [3, 10])
def test_more_commands_than_max_sessions(site: Any, told: int) -> None:
    """Whether the inventory knows of the low MaxSessions or not."""
    server = site.server(options={"MaxSessions": "3"})
    connection = site.connect(server, interlink_sessions=told)
    with ThreadPoolExecutor(16) as threads:
        codes = list(threads.map(lambda n: connection.run(f"sleep 0.05; exit {n % 5}", timeout=120).code, range(48)))
    assert codes == [n % 5 for n in range(48)]
    assert server.log.count("Accepted publickey") == 1


def test_busy_sessions_are_not_an_unknown_outcome(site: Any) -> None:
    connection = site.connect(interlink_sessions=2)
    connection.run("true")
    busy = threading.Thread(target=lambda: connection.run("sleep 8"))
    busy.start()
    time.sleep(2)
    with pytest.raises(Unavailable, match="no session was free"):
        connection.run("true", timeout=0.3)
    busy.join()


def test_stray_writer_costs_only_its_own_shell(site: Any) -> None:
    connection = site.connect()
    connection.run("(sleep 0.3; echo late) &")
    time.sleep(3)
    assert [connection.run("echo ok").stdout for _ in range(5)] == [b"ok\n"] * 5


def test_what_left_its_session_lives_on(site: Any) -> None:
    server = site.server()
    connection = site.connect(server)
    connection.run("setsid sleep 5 </dev/null >/dev/null 2>&1 &")
    connection.close()
    time.sleep(2)
    assert [stat.comm for stat in server.commands()] == ["sleep"]


def test_start_up_files_may_print(site: Any) -> None:
    """As .bashrc does on many a host, before the command that we asked for."""
    chatter = 'ForceCommand printf "welcome\\nto \\036 the host"; echo beware >&2; eval "$SSH_ORIGINAL_COMMAND"'
    server = site.server(options={"ForceCommand": chatter.removeprefix("ForceCommand ")})
    connection = site.connect(server)
    result = connection.run("echo clean")
    assert (result.stdout, result.stderr) == (b"clean\n", b"")
    assert b"".join(connection.stream("echo clean too")) == b"clean too\n"
