"""Requests and answers: the pure part by chunks, the whole through every shell that a host may have."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlink.remote import frames
from interlink.remote.deadline import Deadline
from interlink.remote.pipes import PipeChannel
from interlink.remote.remoteshell import Broken, Late, RemoteShell
from interlink.remote.shell import join

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"], "sh": ["/bin/sh"]}


@contextmanager
def shell_by(name: str) -> Iterator[RemoteShell]:
    argv = SHELLS[name]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"install {name}")
    with subprocess.Popen(
        [*argv, "-s", "interlink"],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        channel = PipeChannel(process)
        try:
            yield RemoteShell.greet(channel, frames.hello, Deadline(30))
        finally:
            process.kill()
            channel.close()


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> Iterator[RemoteShell]:
    with shell_by(request.param) as shell:
        yield shell


def ask(shell: RemoteShell, script: str, stdin: bytes = b"", limit: int = 1 << 26) -> tuple[int, bytes, bytes]:
    result = shell.run(frames.request(script, stdin), Deadline(60), limit)
    return result.code, result.stdout, result.stderr


many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(words=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1, max_size=5))
def test_every_word_arrives_as_it_was_quoted(shell: RemoteShell, words: list[str]) -> None:
    code, out, err = ask(shell, join(["printf", "%s\\036", *words]))
    assert (code, out, err) == (0, b"".join(word.encode() + b"\x1e" for word in words), b"")


@many
@given(data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_short_stdin_arrives_exactly(shell: RemoteShell, data: bytes) -> None:
    assert ask(shell, "cat", data)[1] == data


@pytest.mark.parametrize(
    "size", [frames.INLINE_TEXT, frames.INLINE_BINARY, frames.INLINE_BINARY + 1, 2 * frames.BLOCK, 999_999]
)
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_stdin_of_every_size_arrives_exactly(shell: RemoteShell, size: int, kind: str) -> None:
    data = (b"it's 100%\n" * (size // 10 + 1))[:size] if kind == "text" else os.urandom(size)
    assert ask(shell, "cat", data)[1] == data
    assert ask(shell, "head -c 5; exit 9", data) == (9, data[:5], b"")
    assert ask(shell, "exit 3", data)[0] == 3
    assert ask(shell, "echo in step") == (0, b"in step\n", b"")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 300", 300 % 256),
        ("kill -9 $(exec sh -c 'echo $PPID')", 137),
        ("cd /nowhere/at/all", None),
        ("fi", None),
        ("echo 'unbalanced", None),
        ("cat <<END\nhere\nEND", 0),
        ("true # comment", 0),
        ("set -eu; false; exit 0", 1),
        ("exec true", 0),
        ("return 4 2>/dev/null; true", None),
        ("printf() { echo hijacked; }; unalias -a; alias cat=false", None),
        ("exec 1>&- 2>&-; exit 6", 6),
        ("x=$(cat); exit ${#x}", 0),
        ("", 0),
    ],
)
def test_scripts_end_with_their_code_and_leave_the_shell_in_step(
    shell: RemoteShell, script: str, expected: int | None
) -> None:
    code, _, _ = ask(shell, script)
    assert code == expected or (expected is None and 0 <= code < 256)
    assert ask(shell, "echo ok; echo no >&2; exit 5") == (5, b"ok\n", b"no\n")


def test_nul_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="NUL"):
        frames.request("echo \0")


def test_missing_end_of_a_payload_kills_the_command(shell: RemoteShell) -> None:
    """A connection lost in the middle of an upload must not look like the end of the input."""
    request = frames.request("cat >/dev/null; echo finished", os.urandom(frames.INLINE_BINARY + 1))
    shell.channel.send(request.line)
    shell.channel.send(b"only a part")
    shell.channel._in.close()  # type: ignore[attr-defined]
    heard = bytearray()
    while not shell.channel.ended:
        shell.channel.wait(Deadline(1))
        shell.channel.pump(heard.extend, lambda _: None)
    assert b"finished" not in heard


def test_deadline_and_end_are_told_apart(shell: RemoteShell) -> None:
    with pytest.raises(Late):
        shell.run(frames.request("sleep 5"), Deadline(0.1), 100)


def test_end_of_the_shell_is_noticed(shell: RemoteShell) -> None:
    with pytest.raises(Broken):
        ask(shell, "kill -9 $$")


@given(
    output=st.binary(max_size=200).filter(lambda data: b"\x1eN" not in data),
    cuts=st.lists(st.integers(0, 230), max_size=8),
)
def test_answer_is_the_same_however_it_is_cut(output: bytes, cuts: list[int]) -> None:
    whole = output + frames.marker("N0NCE") + b" 42\n"
    answer, got = frames.Answer("N0NCE"), b""
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    for start, end in itertools.pairwise(edges):
        assert not answer.done
        got += answer.feed(whole[start:end])
    assert (got, answer.trailer, answer.surplus) == (output, b"42", False)


def test_a_line_feed_is_not_held_back() -> None:
    assert frames.Answer("N0NCE").feed(b"a line\n") == b"a line\n"


def test_surplus_behind_the_marker_is_noticed() -> None:
    answer = frames.Answer("N")
    assert answer.feed(b"out\x1eN 0\nstray") == b"out"
    assert answer.surplus


def test_capture_keeps_to_its_limit() -> None:
    capture = frames.Capture(5)
    for part in (b"abc", b"defg", b"h"):
        capture.add(part)
    assert (capture.value(), capture.truncated) == (b"abcde", True)
