"""The shell driver on this machine: what the contract cannot ask of every driver."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from interlink import errors
from interlink.drivers.shell import ShellDriver
from interlink.model.driver import LogQuery
from interlink.model.host import Host
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import Phase, Running, Terminated
from interlink.remote.connection import Connection, Result, Stream
from interlink.remote.local import LocalConnection
from tests.shell.hosts import box, request
from tests.shell.test_supervisor import marked

DEADLINE = 240.0


class Counting:
    """A connection that counts its commands."""

    def __init__(self, inner: Connection) -> None:
        self._inner, self.name = inner, inner.name
        self.runs = self.streams = 0

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 240.0, limit: int = 64 << 20) -> Result:
        self.runs += 1
        return self._inner.run(script, stdin=stdin, timeout=timeout, limit=limit)

    def stream(self, script: str, *, timeout: float = 120.0) -> Stream:
        self.streams += 1
        return self._inner.stream(script, timeout=timeout)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def connection() -> Iterator[Counting]:
    with closing(LocalConnection("here")) as inner:
        yield Counting(inner)


@pytest.fixture
def driver(connection: Counting, tmp_path: Path) -> Iterator[ShellDriver]:
    made = ShellDriver(Host("here", vars={"interlink_root": str(tmp_path / "root")}), connection, "test")
    made.prepare()
    yield made
    for status in made.listing().pods.values():
        gone(made, PodRef(status.uid))


def gone(driver: ShellDriver, ref: PodRef, grace: int = 0) -> None:
    end = time.monotonic() + DEADLINE
    while True:
        try:
            driver.delete(ref, grace)
            return
        except errors.Unavailable:
            assert time.monotonic() < end


def running(driver: ShellDriver, wanted: PodRequest) -> PodRef:
    driver.create(wanted)
    ref = PodRef.of(wanted.pod)
    end = time.monotonic() + DEADLINE
    while not all(isinstance(c.state, Running) for c in driver.status([ref])[0].containers):
        assert time.monotonic() < end
        time.sleep(0.02)
    return ref


def supervisor(root: Path, uid: str) -> int:
    return int((root / "root" / "test" / "pods" / uid / "claim").readlink().name.split()[0])


@pytest.mark.parametrize("victim", ["supervisor", "everything"])
def test_a_killed_supervisor_is_noticed(driver: ShellDriver, tmp_path: Path, victim: str) -> None:
    ref = running(driver, request(box("sleep 300"), restartPolicy="Always"))
    pid = supervisor(tmp_path, ref.uid)
    if victim == "everything":
        for process in marked(ref.uid):
            os.kill(int(process), signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + DEADLINE
    while driver.status([ref])[0].phase is not Phase.FAILED:
        assert time.monotonic() < end
        time.sleep(0.05)
    status = driver.listing().pods[ref.uid]
    assert status.reason == "SupervisorLost"
    only = status.containers[0].state
    assert isinstance(only, Terminated)
    assert (only.exit_code, only.reason) == (137, "ContainerStatusUnknown")
    assert not marked(ref.uid)
    final = driver.delete(ref)
    assert final is not None
    assert final.phase is Phase.FAILED


def test_a_stopped_supervisor_does_not_hold_a_delete_for_ever(
    driver: ShellDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = running(driver, request(box("sleep 300")))
    os.kill(supervisor(tmp_path, ref.uid), signal.SIGSTOP)
    gone(driver, ref)
    assert not marked(ref.uid)
    assert driver.status([ref]) == []


def test_a_claim_without_a_supervisor_ends(driver: ShellDriver, tmp_path: Path) -> None:
    """The host went down between the claim and the first record."""
    ref = running(driver, request(box("sleep 300")))
    pod = tmp_path / "root" / "test" / "pods" / ref.uid
    os.kill(supervisor(tmp_path, ref.uid), signal.SIGKILL)
    (pod / "status").unlink()
    status = driver.listing().pods[ref.uid]
    assert (status.phase, status.reason) == (Phase.FAILED, "SupervisorLost")


def test_a_create_that_was_cut_after_its_claim_is_taken_up(driver: ShellDriver, tmp_path: Path) -> None:
    """The directory is there, nothing was launched: the repeated create launches."""
    wanted = request(box("echo once"))
    driver.create(wanted)
    gone(driver, PodRef.of(wanted.pod))
    base = tmp_path / "root" / "test"
    (base / "gone" / wanted.pod.uid).unlink()
    from interlink.bundle import job, tar

    pod = base / "pods" / wanted.pod.uid
    pod.mkdir()
    subprocess.run(["tar", "-xpf", "-", "-C", pod], input=tar.pack(job.compile_pod(wanted)), check=True)
    assert driver.status([PodRef.of(wanted.pod)])[0].phase is Phase.PENDING
    assert driver.create(wanted).outcome == "existing"
    end = time.monotonic() + DEADLINE
    while not driver.status([PodRef.of(wanted.pod)])[0].terminal:
        assert time.monotonic() < end
    assert (pod / "logs" / "main.0").read_text() == "once\n"


def test_commands_do_not_grow_with_pods(driver: ShellDriver, connection: Counting) -> None:
    refs = [running(driver, request(box("sleep 300"))) for _ in range(3)]
    before = connection.runs
    driver.listing()
    driver.observe([ref.uid for ref in refs])
    driver.status(refs)
    assert connection.runs - before == 3
    before = connection.runs
    driver.create(request(box("true")))
    driver.delete(refs[0], 0)
    assert connection.runs - before == 2


def test_pods_outlive_the_connection_and_the_driver(tmp_path: Path) -> None:
    host = Host("here", vars={"interlink_root": str(tmp_path / "root")})
    with closing(LocalConnection("here")) as first:
        wanted = request(box("sleep 2; echo done; exit 3"))
        ref = running(ShellDriver(host, first, "test"), wanted)
    with closing(LocalConnection("here")) as second:
        driver = ShellDriver(host, second, "test")
        end = time.monotonic() + DEADLINE
        while not driver.status([ref])[0].terminal:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert b"".join(driver.logs(LogQuery(ref))) == b"done\n"
        gone(driver, ref)


def test_the_feed_tells_an_exit_within_ten_seconds(driver: ShellDriver) -> None:
    wanted = request(box("sleep 1; exit 9"))
    ref = running(driver, wanted)
    with driver.changes() as feed:
        began = time.monotonic()
        while not driver.status([ref])[0].terminal:
            next(iter(feed))
            assert time.monotonic() - began < 11
    assert driver.status([ref])[0].phase is Phase.FAILED


def test_kept_logs_are_cut_at_the_front(connection: Counting, tmp_path: Path) -> None:
    host = Host("here", vars={"interlink_root": str(tmp_path / "root"), "interlink_keep_log_bytes": 100})
    driver = ShellDriver(host, connection, "test")
    wanted = request(box("seq 1000"))
    driver.create(wanted)
    ref = PodRef.of(wanted.pod)
    end = time.monotonic() + DEADLINE
    while not driver.status([ref])[0].terminal:
        assert time.monotonic() < end
    gone(driver, ref)
    whole = b"".join(b"%d\n" % n for n in range(1, 1001))
    assert b"".join(driver.logs(LogQuery(ref))) == whole[-100:]


def test_a_huge_line_comes_in_pieces(driver: ShellDriver) -> None:
    wanted = request(box("head -c 50000000 /dev/zero | tr '\\0' x"))
    driver.create(wanted)
    ref = PodRef.of(wanted.pod)
    end = time.monotonic() + DEADLINE
    while not driver.status([ref])[0].terminal:
        assert time.monotonic() < end
        time.sleep(0.1)
    pieces = [len(piece) for piece in driver.logs(LogQuery(ref, timestamps=True))]
    assert sum(pieces) == 50_000_000 + len("2026-01-01T00:00:00.000000000Z ")
    assert max(pieces) <= 2 << 20


def test_a_host_that_forgot_us_is_prepared_again(driver: ShellDriver, tmp_path: Path) -> None:
    subprocess.run(["rm", "-rf", str(tmp_path / "root")], check=True)
    assert driver.listing().pods == {}
    running(driver, request(box("sleep 300")))


def test_a_root_that_cannot_be_made_is_unavailable(connection: Counting, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    driver = ShellDriver(Host("here", vars={"interlink_root": str(tmp_path / "file")}), connection, "test")
    with pytest.raises(errors.Unavailable):
        driver.listing()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_fails_the_pod_and_spares_the_others(connection: Counting, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    driver = ShellDriver(Host("here", vars={"interlink_root": str(disk)}), connection, "test")
    try:
        small = running(driver, request(box("sleep 300")))
        big = request(box("true", env=[{"name": f"V{n}", "value": "x" * 100_000} for n in range(15)]))
        with pytest.raises(errors.LaunchFailed) as caught:
            driver.create(big)
        assert caught.value.reason == "OutOfDisk"
        assert [s.phase for s in driver.status([small])] == [Phase.RUNNING]
        gone(driver, PodRef.of(big.pod))
    finally:
        for status in driver.listing().pods.values():
            gone(driver, PodRef(status.uid))
        subprocess.run(["umount", "--lazy", disk], check=True)  # timers of the supervisor may still be ending


def test_fifty_creates_at_once(driver: ShellDriver) -> None:
    wanted = [request(box("sleep 300")) for _ in range(50)]
    threads = [threading.Thread(target=driver.create, args=[one]) for one in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.pod.uid for one in wanted} == set(driver.listing().pods)


@pytest.mark.parametrize("uid", ["../x", "a b", "", "-x", "x" * 200])
def test_a_uid_that_is_no_name_never_reaches_the_host(driver: ShellDriver, connection: Counting, uid: str) -> None:
    before = connection.runs
    assert driver.status([PodRef(uid)]) == []
    with pytest.raises(errors.InvalidPod):
        driver.delete(PodRef(uid))
    with pytest.raises(errors.InvalidPod):
        driver.logs(LogQuery(PodRef(uid)))
    assert connection.runs == before
