"""The Slurm driver's creates on this machine's own shell; Slurm's programs are stand-ins."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interlink import errors
from interlink.drivers.slurm import SlurmDriver
from interlink.model.host import Host
from interlink.model.pod import Pod, PodRequest
from interlink.remote.connection import Connection, Result, Stream
from interlink.remote.local import LocalConnection


@dataclass
class Counting:
    """A connection that counts the creates of each command, and holds them up while the gate is shut."""

    inner: Connection
    gate: threading.Event
    batches: list[int] = field(default_factory=list)
    name: str = "login"

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 240.0, limit: int = 64 << 20) -> Result:
        if creates := script.count("\nil_create"):
            self.batches.append(creates)
            assert self.gate.wait(60)
        return self.inner.run(script, stdin=stdin, timeout=timeout, limit=limit)

    def stream(self, script: str, *, timeout: float = 120.0) -> Stream:
        return self.inner.stream(script, timeout=timeout)

    def close(self) -> None:
        self.inner.close()


@pytest.fixture
def connection() -> Iterator[Counting]:
    gate = threading.Event()
    gate.set()
    with closing(LocalConnection("login")) as inner:
        yield Counting(inner, gate)


def driver_of(base: Path, root: Path, connection: Connection) -> SlurmDriver:
    """A driver whose sbatch answers with a number, and refuses those of a partition `none`."""
    refuses = "case $* in *partition=none*) echo invalid partition >&2; exit 1 ;; esac"
    programs = {"sbatch": f"{refuses}\necho $$", "squeue": ":", "scancel": ":"}
    for name, script in programs.items():
        (base / name).write_text(f'#!/bin/sh\necho "$*" >>{base}/{name}.told\n{script}\n')
        (base / name).chmod(0o755)
    variables = {f"interlink_{name}_path": str(base / name) for name in programs}
    return SlurmDriver(Host("login", vars={**variables, "interlink_root": str(root)}), connection, "test")


def request(script: str = "true", flags: str = "", **container: Any) -> PodRequest:
    uid = str(uuid.uuid4())
    metadata: dict[str, Any] = {"uid": uid, "name": uid[:8], "namespace": "n"}
    if flags:
        metadata["annotations"] = {"slurm-job.vk.io/flags": flags}
    main = {"name": "main", "image": "none", "command": ["sh", "-c", script], **container}
    return PodRequest(Pod({"metadata": metadata, "spec": {"restartPolicy": "Never", "containers": [main]}}))


def test_creates_of_many_threads_are_few_commands(connection: Counting, tmp_path: Path) -> None:
    driver = driver_of(tmp_path, tmp_path / "root", connection)
    driver.prepare()
    wanted = [request() for _ in range(24)]
    connection.gate.clear()
    with ThreadPoolExecutor(24) as pool:
        made = [pool.submit(driver.create, one) for one in wanted]
        until = time.monotonic() + 60
        while sum(connection.batches) + len(driver._submissions._waiting) < 24:
            assert time.monotonic() < until
            time.sleep(0.01)
        connection.gate.set()
        answers = [one.result(120) for one in made]
    assert len({answer.jid for answer in answers}) == 24
    assert [answer.uid for answer in answers] == [one.pod.uid for one in wanted]
    assert {answer.outcome for answer in answers} == {"new"}
    assert len(connection.batches) <= 5
    told = (tmp_path / "sbatch.told").read_text().splitlines()
    assert sorted(
        word.removeprefix("--job-name=") for line in told for word in line.split() if "--job-name" in word
    ) == (sorted(one.pod.uid for one in wanted))


def test_one_refused_pod_of_many_is_refused_alone(connection: Counting, tmp_path: Path) -> None:
    driver = driver_of(tmp_path, tmp_path / "root", connection)
    wanted = [request(flags="--partition=none" if n == 3 else "") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(driver.create, one) for one in wanted]
    assert [n for n, one in enumerate(made) if one.exception()] == [3]
    with pytest.raises(errors.LaunchFailed, match="invalid partition"):
        made[3].result()


def test_the_same_pod_from_many_threads_is_one_job(connection: Counting, tmp_path: Path) -> None:
    driver = driver_of(tmp_path, tmp_path / "root", connection)
    wanted = request()
    with ThreadPoolExecutor(8) as pool:
        answers = [one.result(120) for one in [pool.submit(driver.create, wanted) for _ in range(8)]]
    assert sorted(answer.outcome for answer in answers) == ["existing"] * 7 + ["new"]
    assert len((tmp_path / "sbatch.told").read_text().splitlines()) == 1


def test_a_pod_for_which_the_disk_has_no_room_takes_no_other_with_it(connection: Counting, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        driver = driver_of(tmp_path, disk, connection)
        driver.prepare()
        large = request(env=[{"name": f"V{n}", "value": "x" * 100_000} for n in range(15)])
        connection.gate.clear()
        with ThreadPoolExecutor(8) as pool:
            made = [pool.submit(driver.create, one) for one in [large, *(request() for _ in range(7))]]
            connection.gate.set()
        with pytest.raises(errors.LaunchFailed) as caught:
            made[0].result(120)
        assert caught.value.reason == "OutOfDisk"
        assert {one.result(120).outcome for one in made[1:]} == {"new"}
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_repeat_finds_the_job_of_a_bundle_without_scripts_of_its_own(connection: Counting, tmp_path: Path) -> None:
    driver = driver_of(tmp_path, tmp_path / "root", connection)
    wanted = request()
    first = driver.create(wanted)
    assert (driver.create(wanted).outcome, driver.create(wanted).jid) == ("existing", first.jid)
    [bundle] = (tmp_path / "root" / "test-slurm" / "pods").iterdir()
    own = {path.name for path in bundle.iterdir()}
    assert own.isdisjoint({"supervisor.sh", "containers.sh", "records.sh"})
    lib = tmp_path / "root" / "test-slurm" / (bundle / "lib").read_text().strip()
    assert f"exec sh ../../bin/{lib.name}/supervisor.sh ." in (bundle / "job.sh").read_text()
    assert (lib / "supervisor.sh").is_file()
