"""What a login node does for a create: one submission, whoever asks. Slurm's programs are stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlink.bundle import parcel, tar
from interlink.bundle.slurmsite import Programs, SlurmSite
from interlink.drivers.slurm import driver
from interlink.drivers.supervised.scripts import UNPREPARED, Place
from interlink.model.host import Host

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
BUNDLE = (tar.File("plan", b"grace=1\n"), tar.File("facts", b"{}\n"), tar.Directory("volumes", 0o700))
UID = "0a6f"


@dataclass
class Login:
    """A login node: a directory, a shell, and stand-ins for Slurm that write down what they are told."""

    base: Path
    shell: Sequence[str]

    def program(self, name: str, script: str) -> None:
        path = self.base / name
        path.write_text(f'#!/bin/sh\necho "$*" >>"{path}.told"\n{script}\n')
        path.chmod(0o755)

    def told(self, name: str) -> list[str]:
        path = self.base / f"{name}.told"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def pod(self) -> Path:
        return self.base / "root" / "server" / "pods" / UID

    @property
    def place(self) -> Place:
        site = SlurmSite(programs=Programs(sbatch=str(self.base / "sbatch"), squeue=str(self.base / "squeue")))
        return driver._place(Host("login", vars={"interlink_root": str(self.base / "root")}), "server", site)

    def call(self, verb: str, *words: str) -> str:
        place = self.place
        if verb == "il_prepare":
            self.run(place.install(), place.archive)
        packed = parcel.pack(BUNDLE, place.shelf)
        return self.run(place.call(verb, *words, before=packed.text), packed.archive)

    def run(self, script: str, stdin: bytes) -> str:
        argv = [*self.shell, "-c", script]
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def create(self) -> str:
        return self.call("il_create", UID, "-", "--parsable", "--hold")


@pytest.fixture(params=list(SHELLS))
def login(request: pytest.FixtureRequest, tmp_path: Path) -> Login:
    made = Login(tmp_path, SHELLS[request.param])
    made.program("sbatch", "echo 12")
    made.program("squeue", "")
    made.call("il_prepare")
    return made


def test_a_pod_is_submitted_once(login: Login) -> None:
    assert [login.create(), login.create()] == ["new 12", "existing 12"]
    assert login.told("sbatch") == [
        f"--parsable --hold --chdir={login.pod} --output={login.pod}/job.out {login.pod}/job.sh"
    ]
    assert (login.pod / "plan").read_bytes() == b"grace=1\n"
    assert [path.name for path in login.pod.parent.iterdir()] == [UID]


def test_creates_that_race_submit_once(login: Login) -> None:
    login.program("sbatch", "sleep 1; echo 12")
    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(lambda _: login.create(), range(4)))
    assert said == ["existing 12"] * 3 + ["new 12"]
    assert len(login.told("sbatch")) == 1


def test_a_refused_job_may_be_submitted_again(login: Login) -> None:
    login.program("sbatch", "echo 'sbatch: error: invalid partition specified: none' >&2; exit 1")
    assert login.create() == "refused sbatch: error: invalid partition specified: none"
    login.program("sbatch", "echo 13")
    assert login.create() == "existing 13"
    assert len(login.told("sbatch")) == 2


def killed(login: Login) -> None:
    """Leave what a submission leaves whose shell and sbatch were killed together."""
    login.create()
    (login.pod / "job").unlink()


def test_what_an_unknown_submission_has_made_is_found(login: Login) -> None:
    killed(login)
    login.program("squeue", "echo 12")
    assert login.create() == "existing 12"
    assert len(login.told("sbatch")) == 1


def test_an_unknown_submission_is_not_repeated_before_it_must_have_shown(login: Login) -> None:
    killed(login)
    assert login.create().startswith("unclear the answer to its submission was lost")
    assert len(login.told("sbatch")) == 1
    absent = login.pod / "absent.1"
    absent.write_text(f"{int(absent.read_text()) - 60}\n")
    assert login.create() == "existing 12"
    assert len(login.told("sbatch")) == 2


def test_a_deadline_counts_from_the_acceptance(login: Login) -> None:
    before = int(time.time())
    login.call("il_create", UID, "90")
    word, uid, accepted, expires = (login.pod / "accepted").read_text().split()
    assert (word, uid, int(expires) - int(accepted)) == ("accepted", UID, 90)
    assert before <= int(accepted) <= time.time()


def test_a_bundle_that_cannot_be_written_is_told(login: Login) -> None:
    login.pod.parent.rmdir()
    login.pod.parent.write_text("in the way")
    assert login.create().startswith("failed ")
    assert login.told("sbatch") == []


def test_scripts_are_sent_once_and_a_call_is_a_few_lines(login: Login) -> None:
    [version] = (login.pod.parents[1] / "bin").iterdir()
    assert {path.stat().st_mode & 0o777 for path in version.iterdir()} == {0o600}
    before = {path: path.stat().st_mtime_ns for path in version.iterdir()}
    assert len(login.place.call("il_tick", "3")) < 1500
    login.call("il_prepare")
    assert {path: path.stat().st_mtime_ns for path in version.iterdir()} == before


def test_scripts_of_other_versions_go_after_a_day(login: Login) -> None:
    there = login.pod.parents[1] / "bin"
    for name, age in (("recent", 3600), ("old", 90000)):
        (there / name).mkdir()
        os.utime(there / name, (time.time() - age,) * 2)
    [version] = set(there.iterdir()) - {there / "recent", there / "old"}
    os.utime(version, (time.time() - 90000,) * 2)
    login.call("il_prepare")
    assert set(there.iterdir()) == {version, there / "recent"}


def test_without_its_scripts_a_host_asks_for_them(login: Login) -> None:
    shutil.rmtree(login.pod.parents[1] / "bin")
    done = subprocess.run([*login.shell, "-c", login.place.call("il_tick", "3")], check=False, capture_output=True)
    assert done.returncode == UNPREPARED
