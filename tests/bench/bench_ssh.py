"""Ratios of the executor to floors of the same run: `python -m tests.bench.bench_ssh` (as root, with sshd)."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from interlink.model.host import Host
from interlink.remote.connection import Connection
from interlink.remote.pool import Pool
from tests.lab import place
from tests.lab.sshd import PLAIN_USER, Sshd, add_users

CALLS = 400
ROUNDS = 3


def median_ms(call: Callable[[], object], calls: int = CALLS) -> float:
    """The median of single calls in ms, the best of some rounds: the machine is shared."""
    return min(_median(call, calls) for _ in range(ROUNDS))


def _median(call: Callable[[], object], calls: int) -> float:
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def rate(call: Callable[[], object], threads: int, calls: int = 1600) -> float:
    """Calls per second from so many threads, the best of some rounds."""
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            for done in [pool.submit(call) for _ in range(calls)]:
                done.result()
            best = max(best, calls / (time.perf_counter() - started))
    return best


@contextmanager
def bare_shell() -> Iterator[Callable[[bytes], bytes]]:
    """The floor: one `sh` on pipes, one line there and one line back."""
    with subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = process.stdout

        def ask(command: bytes) -> bytes:
            assert process.stdin is not None
            process.stdin.write(command + b"; echo $?\n")
            return bytes(lines.readline())

        yield ask
        process.stdin.close()


@contextmanager
def connections() -> Iterator[tuple[Connection, Connection]]:
    """One to a server of our own by SSH, and one to this machine without."""
    add_users()
    with tempfile.TemporaryDirectory(prefix="ilb") as name:
        Path(name).chmod(0o755)
        server = Sshd(Path(name) / "sshd", address=place.loopback_address(), port=2299).start()
        try:
            with Pool(Path(name) / "known_hosts") as pool:
                far = pool.connection(Host("far", (), server.host("far", PLAIN_USER).variables))
                yield far, pool.connection(Host("near", (), {"ansible_connection": "local"}))
        finally:
            server.close()


def echo_ms(connection: Connection, calls: int = 200) -> float:
    """One round trip of a line through sshd to a process that answers at once, without any shell's work.

    It is the guardian's ping, taken on the thread that keeps the link.
    """
    link = connection._main.link  # type: ignore[attr-defined]
    finished: list[float] = []

    def ping() -> None:
        finished.append(median_ms(link._ping, calls))

    link._errands.put(ping)
    while not finished:
        time.sleep(0.05)
    return finished[0]


def rows() -> list[tuple[str, float, str]]:
    """(what, value, unit or target)."""
    mebibytes, kibibyte = "head -c 8388608 /dev/zero", b"x" * 1024
    with connections() as (far, near), bare_shell() as bare:
        for connection in (far, near):
            connection.run("true")
        floor = median_ms(lambda: bare(b"/bin/true"))
        builtin = median_ms(lambda: bare(b"true"))
        local, ssh, trip = median_ms(lambda: near.run("true")), median_ms(lambda: far.run("true")), echo_ms(far)
        local_exec, ssh_exec = median_ms(lambda: near.run("/bin/true")), median_ms(lambda: far.run("/bin/true"))
        local_rate, ssh_rate = rate(lambda: near.run("true"), 8), rate(lambda: far.run("true"), 8)
        local_out, ssh_out = median_ms(lambda: near.run(mebibytes), 10), median_ms(lambda: far.run(mebibytes), 10)
        local_in = median_ms(lambda: near.run("cat >/dev/null", stdin=kibibyte))
        ssh_in = median_ms(lambda: far.run("cat >/dev/null", stdin=kibibyte))
        assert far.run(mebibytes).stdout == bytes(8 << 20)
    return [
        ("bare local persistent sh, true (built in)", builtin, "ms p50"),
        ("bare local persistent sh, /bin/true", floor, "ms p50: the floor"),
        ("one line through sshd and back", trip, "ms p50: RTT"),
        ("run('true') on this machine", local, "ms p50"),
        ("run('true') over SSH", ssh, "ms p50"),
        ("run('/bin/true') over SSH", ssh_exec, "ms p50"),
        ("run('true') over SSH less RTT / floor", (ssh - trip) / floor, "x, target <= 2"),
        ("run('/bin/true') over SSH less RTT / floor", (ssh_exec - trip) / floor, "x, target <= 2"),
        ("run('true'): SSH less RTT / this machine", (ssh - trip) / local, "x, target <= 2"),
        ("run('/bin/true'): SSH less RTT / this machine", (ssh_exec - trip) / local_exec, "x, target <= 2"),
        ("run('true') from 8 threads: SSH", ssh_rate, "per second"),
        ("run('true') from 8 threads: SSH / this machine", ssh_rate / local_rate, "x the rate"),
        ("8 MiB of output: SSH / this machine", ssh_out / local_out, "x"),
        ("8 MiB of output over SSH", (8 << 20) / 1e6 / (ssh_out / 1e3), "MB/s"),
        ("1 KiB of stdin: SSH less RTT / this machine", (ssh_in - trip) / local_in, "x, target <= 2"),
    ]


if __name__ == "__main__":
    for what, value, unit in rows():
        print(f"{what:50} {value:10.3f}  {unit}")
