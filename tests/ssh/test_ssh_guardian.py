"""The guardian under every shell that a host may have."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from interlink.remote import guardian
from interlink.remote.deadline import Deadline
from interlink.remote.pipes import PipeChannel
from interlink.remote.remoteshell import RemoteShell

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
PARENT = ["/bin/sh", "-c", '"$@"; exit 0', "sshd"]  # stands for sshd, whose end is what silence leads to


@contextmanager
def started(name: str, *, silence: int = 0) -> Iterator[tuple[RemoteShell, subprocess.Popen[bytes]]]:
    argv = SHELLS[name]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"install {name}")
    with subprocess.Popen(
        [*PARENT, *argv, "-s", "interlink"],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        channel = PipeChannel(process)

        def program(nonce: str) -> bytes:
            return guardian.program(nonce, silence=silence, grace=3)

        try:
            yield RemoteShell.greet(channel, program, Deadline(30)), process
        finally:
            channel.close()


@pytest.fixture(params=SHELLS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def victim(script: str = "sleep 471 & sleep 472") -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("script", ["sleep 471 & sleep 472", "trap '' TERM; sleep 471; sleep 472; sleep 473"])
def test_order_ends_a_group(name: str, script: str) -> None:
    with victim(script) as one, victim() as other, started(name) as (shell, _):
        shell.channel.send(guardian.order("w", other.pid) + guardian.order("w", one.pid) + guardian.order("k", one.pid))
        assert one.wait(30) < 0
        assert other.poll() is None


def test_end_of_file_ends_streams_at_once_and_shells_after_their_grace(name: str) -> None:
    with victim() as shells, victim() as stream, victim("sleep 1") as short, started(name) as (shell, _):
        for verb, process in (("w", shells), ("s", stream), ("w", short)):
            shell.channel.send(guardian.order(verb, process.pid))
        shell.channel.close()
        stream.wait(30)
        assert shells.poll() is None
        assert short.wait(30) == 0  # let finish
        assert shells.wait(30) < 0


def test_silence_ends_the_connection(name: str) -> None:
    with victim() as stream, started(name, silence=1) as (shell, sshd):
        shell.channel.send(guardian.order("s", stream.pid))
        assert sshd.wait(30) == -15
        assert stream.poll() is None
        shell.channel.close()  # as the end of sshd does
        assert stream.wait(30) < 0


def test_pings_are_answered_and_keep_the_connection(name: str) -> None:
    with started(name, silence=5) as (shell, sshd):
        heard = bytearray()
        for number in range(12):
            shell.channel.send(guardian.order("p", number))
            time.sleep(0.6)
            shell.channel.pump(heard.extend, lambda _: None)
        assert heard == b"".join(b"%d\n" % number for number in range(12))
        assert sshd.poll() is None
