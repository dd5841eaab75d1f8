"""Which part of which log, following, and what closing leaves behind."""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from interlink import errors
from interlink.model.driver import LogQuery
from tests.contract.support import FOREVER, Box, Rig, wait

LINES = b"one\ntwo\nthree\n"
THREE = Box("echo one; echo two; echo three", log=LINES.decode())


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ({}, LINES),
        ({"tail": 0}, b""),
        ({"tail": 1}, b"three\n"),
        ({"tail": 3}, LINES),
        ({"tail": 9}, LINES),
        ({"limit_bytes": 5}, b"one\nt"),
        ({"limit_bytes": 100}, LINES),
        ({"tail": 2, "limit_bytes": 6}, b"two\nth"),
        ({"since_seconds": 3600}, LINES),
        ({"follow": True}, LINES),
        ({"follow": True, "tail": 1}, b"three\n"),
    ],
    ids=str,
)
def test_parts_of_a_log(rig: Rig, query: dict[str, object], want: bytes) -> None:
    with rig.run(THREE) as run:
        run.ended()
        assert run.log(**query) == want


def test_since_a_time_to_come_is_nothing(rig: Rig) -> None:
    with rig.run(THREE) as run:
        run.ended()
        assert run.log(since_time=datetime.now(timezone.utc) + timedelta(hours=1)) == b""


def test_timestamps(rig: Rig) -> None:
    with rig.run(THREE) as run:
        run.ended()
        lines = run.log(timestamps=True).splitlines()
        assert [line.split(b" ", 1)[1] for line in lines] == [b"one", b"two", b"three"]
        for line in lines:
            stamp = line.split(b" ")[0].decode()
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp)
            age = datetime.now(timezone.utc) - datetime.fromisoformat(f"{stamp[:19]}+00:00")
            assert timedelta(seconds=-5) < age < timedelta(seconds=300)


@pytest.mark.needs("processes")
def test_since_and_timestamps_tell_early_from_late(rig: Rig) -> None:
    with rig.run(Box("echo early; sleep 12; echo late; sleep 300")) as run:
        run.logged(b"late")
        stamps = [line.split(b" ")[0] for line in run.log(timestamps=True).splitlines()]
        early, late = (datetime.fromisoformat(f"{stamp[:19].decode()}+00:00") for stamp in stamps)
        assert timedelta(seconds=3) < late - early
        assert run.log(since_time=early + timedelta(seconds=3)) == b"late\n"
        ago = datetime.now(timezone.utc) - early
        assert run.log(since_seconds=int(ago.total_seconds()) - 3) == b"late\n"
        assert run.log(since_seconds=int(ago.total_seconds()) - 3, tail=5) == b"late\n"


@pytest.mark.needs("processes")
def test_bytes_are_kept(rig: Rig) -> None:
    script = r"printf 'a\r\nb\0c\377\n\n'; printf 'no end'"
    with rig.run(Box(script)) as run:
        run.ended()
        assert run.log() == b"a\r\nb\0c\xff\n\nno end"


@pytest.mark.needs("processes")
def test_a_big_log_comes_whole(rig: Rig) -> None:
    with rig.run(Box("seq 200000")) as run:
        run.ended()
        assert run.log() == b"".join(b"%d\n" % n for n in range(1, 200001))
        assert run.log(tail=2) == b"199999\n200000\n"


@pytest.mark.needs("processes")
def test_follow_sees_lines_as_they_come(rig: Rig) -> None:
    with rig.run(Box("echo first; sleep 2; echo second; sleep 2; echo third")) as run:
        got: list[bytes] = []
        with closing(rig.driver.logs(LogQuery(run.ref, "main", follow=True))) as stream:
            for piece in stream:
                got.append(piece)
        assert b"".join(got) == b"first\nsecond\nthird\n"
        assert len(got) >= 2


@pytest.mark.needs("processes")
def test_a_follower_that_is_behind_when_it_ends_gets_all(rig: Rig) -> None:
    """Some engines stop following as soon as a container ends, whatever has not been read by then."""
    lines, wide = 20_000, "x" * 300  # more than connections and pipes hold
    script = f"sleep 1; i=0; while [ $i -lt {lines} ]; do i=$((i + 1)); echo $i {wide}; done"
    with rig.run(Box(script)) as run, closing(rig.driver.logs(LogQuery(run.ref, follow=True))) as log:
        chunks = iter(log)
        begun = next(chunk for chunk in chunks if chunk)
        run.ended()
        got = [line.split()[0] for line in (begun + b"".join(chunks)).splitlines()]
        assert (len(got), got[-1]) == (lines, b"%d" % lines)
        assert got == [b"%d" % n for n in range(1, lines + 1)]


@pytest.mark.needs("processes")
@pytest.mark.parametrize(("tail", "first"), [(2, range(4, 10**9)), (0, range(6, 10**9)), (10**6, range(1, 2))])
def test_follow_from_the_last_lines(rig: Rig, tail: int, first: range) -> None:
    count = "i=0; while :; do i=$((i + 1)); echo $i; sleep 0.5; done"
    with rig.run(Box(count)) as run:
        run.logged(b"5")
        got = b""
        with closing(rig.driver.logs(LogQuery(run.ref, follow=True, tail=tail))) as log:
            for chunk in log:
                got += chunk
                if got.count(b"\n") >= 8:
                    break
        numbers = [int(line) for line in got.splitlines()[:8]]
        assert numbers[0] in first
        assert numbers == list(range(numbers[0], numbers[0] + 8))


def test_follow_before_the_start(rig: Rig) -> None:
    inits = [Box("sleep 2", name="first", run=0.5)]
    with rig.run(THREE, inits=inits) as run:
        assert run.log("main", follow=True) == LINES


@pytest.mark.needs("host")
def test_follow_ends_when_the_pod_is_deleted(rig: Rig) -> None:
    with rig.run(Box("echo up; sleep 300", log="up\n", **FOREVER)) as run:
        run.logged(b"up")
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(run.log(follow=True)))
        reader.start()
        time.sleep(0.5)
        run.delete(grace=0)
        reader.join(60)
        assert not reader.is_alive()
        assert got == [b"up\n"]


def test_a_follow_closed_early_leaves_nothing(rig: Rig) -> None:
    with rig.run(Box("echo up; sleep 300", log="up\n", **FOREVER)) as run:
        run.logged(b"up")
        before = threading.active_count()
        streams = [rig.driver.logs(LogQuery(run.ref, "main", follow=True)) for _ in range(3)]
        readers = [threading.Thread(target=lambda s=stream: list(s)) for stream in streams]
        for reader in readers:
            reader.start()
        time.sleep(0.3)
        for stream in streams:
            stream.close()
            stream.close()
        for reader in readers:
            reader.join(60)
            assert not reader.is_alive()
        wait(lambda: threading.active_count() <= before, "no thread is left")


@pytest.mark.needs("restarts")
def test_previous_of_a_first_attempt_is_not_found(rig: Rig) -> None:
    with rig.run(Box("sleep 300", **FOREVER)) as run:
        run.running()
        with pytest.raises(errors.NotFound):
            run.log(previous=True)


def test_a_pod_of_several_needs_a_name(rig: Rig) -> None:
    with rig.run(Box("echo a", name="a", log="a\n"), Box("echo b", name="b", log="b\n")) as run:
        run.ended()
        with pytest.raises(errors.InputError):
            run.log("")
