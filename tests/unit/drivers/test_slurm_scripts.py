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
    def root(self) -> Path:
        return self.base / "root" / "server"

    @property
    def pod(self) -> Path:
        return self.root / "pods" / UID

    @property
    def place(self) -> Place:
        site = SlurmSite(programs=Programs(**{name: str(self.base / name) for name in ("sbatch", "squeue", "scancel")}))
        return driver._place(Host("login", vars={"interlink_root": str(self.base / "root")}), "server", site)

    def call(self, verb: str, *words: str) -> str:
        return self.run(self.place.call(verb, *words))

    def prepare(self) -> None:
        self.run(self.place.install(), self.place.archive)
        self.call("il_prepare")

    def submit(self, *uids: str, expires: str = "-", first: str = "", code: int = 0) -> list[str]:
        """Run what the driver's create runs, after `first`; return what is said of each, or once of all."""
        entries = [tar.under(uid, self.place.shelf.spare(BUNDLE)) for uid in uids]
        packed = parcel.pack(entry for bundle in entries for entry in bundle)
        staged = " ".join(["il_stage", *(f"{uid} {expires}" for uid in uids)])
        creates = "".join(f"il_create {uid} --parsable --hold &\n" for uid in uids)
        script = self.place.call("wait", before=f"{packed.text}{first}{staged}\n{creates}")
        said = self.run(script, packed.archive, code).splitlines()
        if not said or not said[0].startswith("pod "):
            return said
        answers = dict(line.removeprefix("pod ").split(" ", 1) for line in said)
        return [answers[uid].strip() for uid in uids]

    def create(self) -> str:
        return self.submit(UID)[0]

    def run(self, script: str, stdin: bytes = b"", code: int = 0) -> str:
        argv = [*self.shell, "-c", script]
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=240)
        assert done.returncode == code, done.stderr
        return done.stdout.decode().strip()


@pytest.fixture(params=list(SHELLS))
def login(request: pytest.FixtureRequest, tmp_path: Path) -> Login:
    made = Login(tmp_path, SHELLS[request.param])
    made.program("sbatch", "echo 12")
    made.program("squeue", "")
    made.prepare()
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


def test_pods_that_come_together_are_each_submitted_once(login: Login) -> None:
    login.program("sbatch", 'for word; do case $word in --chdir=*) echo "${word##*/}" | tr abc 123; esac; done')
    assert login.submit("b") == ["new 2"]
    (login.root / "gone" / "c").touch()
    assert login.submit("a", "b", "c") == ["new 1", "existing 2", "deleted"]
    assert len(login.told("sbatch")) == 2
    assert sorted(path.name for path in login.pod.parent.iterdir()) == ["a", "b"]
    assert login.submit("a", "b", "c") == ["existing 1", "existing 2", "deleted"]
    assert sorted(path.name for path in login.pod.parent.iterdir()) == ["a", "b"]


def test_pods_that_come_together_fail_alone(login: Login) -> None:
    script = 'case $* in */pods/b/*) echo "sbatch: error: invalid account" >&2; exit 1 ;; */pods/c/*) sleep 1 ;; esac'
    login.program("sbatch", f"{script}; echo 12")
    assert login.submit("a", "b", "c") == ["new 12", "refused sbatch: error: invalid account", "new 12"]
    assert login.submit("b") == ["refused sbatch: error: invalid account"]


def test_pods_that_are_there_need_no_room(login: Login) -> None:
    full = 'il_fill() { mkdir "$1"; echo No space left on device >&2; return 1; }\n'
    login.submit("a")
    assert login.submit("a", "b", first=full) == ["failed No space left on device"]
    assert login.submit("a", first=full) == ["existing 12"]
    assert [path.name for path in login.pod.parent.iterdir()] == ["a"]


def test_a_pod_that_is_deleted_while_it_is_submitted_leaves_nothing(login: Login) -> None:
    login.program("sbatch", f": >{login.root}/gone/b; echo 12")
    login.program("scancel", "")
    assert login.submit("a", "b") == ["new 12", "deleted"]
    assert [path.name for path in login.pod.parent.iterdir()] == ["a"]
    assert login.told("scancel")[0] == "12"


def test_batches_that_race_submit_once(login: Login) -> None:
    login.program("sbatch", "sleep 1; echo 12")
    uids = [("a", "b", "c"), ("c", "b", "a"), ("b", "d", "c"), ("d", "a", "b")]
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda batch: dict(zip(batch, login.submit(*batch), strict=True)), uids))
    for uid in "abcd":
        answers = [one[uid] for one in said if uid in one]
        assert (answers.count("new 12"), answers.count("existing 12")) == (1, len(answers) - 1)
    assert len(login.told("sbatch")) == 4


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
    login.submit(UID, expires="90")
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
    login.prepare()
    assert {path: path.stat().st_mtime_ns for path in version.iterdir()} == before


def test_scripts_of_other_versions_go_when_they_are_a_day_old_and_no_pod_uses_them(login: Login) -> None:
    there = login.root / "bin"
    for name, age in (("recent", 3600), ("old", 90000), ("older", 990000)):
        (there / name).mkdir()
        os.utime(there / name, (time.time() - age,) * 2)
    [version] = set(there.glob("[!.]*")) - {there / "recent", there / "old", there / "older"}
    os.utime(version, (time.time() - 90000,) * 2)
    login.create()
    (login.pod / "lib").write_text("bin/old\n")
    login.prepare()
    assert set(there.iterdir()) == {version, there / "recent", there / "old"}
    shutil.rmtree(login.pod)
    login.prepare()
    assert set(there.iterdir()) == {version, there / "recent"}


def test_a_pod_that_comes_while_its_scripts_go_is_not_there(login: Login) -> None:
    assert login.submit("a", UID, first='mv "$il_lib" bin/.old.aside\n', code=UNPREPARED) == []
    assert login.told("sbatch") == []
    assert list(login.pod.parent.iterdir()) == []


def test_scripts_that_a_file_system_has_forgotten_are_brought_back(login: Login) -> None:
    [version] = (login.root / "bin").iterdir()
    assert min(path.stat().st_mtime for path in version.iterdir()) > time.time() - 600
    before = sorted(path.name for path in version.iterdir())
    for name in ("supervisor.sh", "manifest"):
        (version / name).unlink()
        assert login.submit("a", code=UNPREPARED) == []
        assert list(login.pod.parent.iterdir()) == []
        login.prepare()
        assert sorted(path.name for path in version.iterdir()) == before
        assert [path.name for path in version.parent.iterdir()] == [version.name]
    assert login.submit("a") == ["new 12"]


def test_without_its_scripts_a_host_asks_for_them(login: Login) -> None:
    shutil.rmtree(login.pod.parents[1] / "bin")
    done = subprocess.run([*login.shell, "-c", login.place.call("il_tick", "3")], check=False, capture_output=True)
    assert done.returncode == UNPREPARED
