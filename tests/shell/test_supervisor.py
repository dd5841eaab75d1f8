"""The supervisor alone, under every shell that a host may have as its sh."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import pytest

from interlink.model.status import Phase, Running, Terminated, Waiting
from tests.shell.hosts import DEADLINE, SHELLS, Supervised, box, request, supervised

shells = pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)


def codes(pod: Supervised) -> dict[str, int]:
    return {c.name: c.state.exit_code for c in pod.status().containers if isinstance(c.state, Terminated)}


@shells
def test_a_whole_life(shell: list[str], tmp_path: Path) -> None:
    side = box("trap 'echo bye; exit 0' TERM; echo up; sleep 300 & wait", "side", restartPolicy="Always")
    inits = [box("echo init", "init"), side]
    mains = [box("sleep 0.5; echo out; echo err >&2; exit 3"), box("kill -KILL $$$$", "killed")]
    with supervised(shell, tmp_path, request(*mains, initContainers=inits)) as pod:
        assert pod.end() == 1
        assert codes(pod) == {"init": 0, "side": 0, "main": 3, "killed": 137}
        assert pod.status().phase is Phase.FAILED
        assert (pod.log("init"), pod.log()) == ("init\n", "out\nerr\n")
        assert "bye" in pod.log("side")


@shells
def test_success_is_exit_code_0(shell: list[str], tmp_path: Path) -> None:
    with supervised(shell, tmp_path, request(box("true"), box("true", "other"))) as pod:
        assert pod.end() == 0
        assert pod.status().phase is Phase.SUCCEEDED


CREATED, STARTED = ("Created", "Created container main"), ("Started", "Started container main")


@shells
def test_a_container_is_called_started_when_its_program_was(shell: list[str], tmp_path: Path) -> None:
    with supervised(shell, tmp_path, request(box("exit 3"), box("true", "no", command=["/no/such"]))) as pod:
        pod.end()
        assert pod.events() == [CREATED, STARTED]
        created, failed = pod.events("no")
        assert (created[0], failed[0]) == ("Created", "Failed")
        assert failed[1].startswith("Error: exec: /no/such")


@shells
def test_a_container_is_called_started_while_it_runs(shell: list[str], tmp_path: Path) -> None:
    with supervised(shell, tmp_path, request(box("echo up; sleep 300"))) as pod:
        pod.until("up")
        end = time.monotonic() + DEADLINE
        while pod.events() != [CREATED, STARTED]:
            assert time.monotonic() < end, pod.events()
            time.sleep(0.05)
        pod.tell("stop 0")
        pod.end()
        assert [reason for reason, _ in pod.events()] == ["Created", "Started", "Killing"]


@shells
def test_restart_at_once_then_after_ten_seconds(shell: list[str], tmp_path: Path) -> None:
    with supervised(shell, tmp_path, request(box("echo $IL_CONTAINER; exit 4"), restartPolicy="OnFailure")) as pod:
        pod.until("/1", attempt=1)
        end = time.monotonic() + DEADLINE
        while not isinstance(pod.status().containers[0].state, Waiting):
            assert time.monotonic() < end
            time.sleep(0.05)
        only = pod.status().containers[0]
        assert only.restart_count == 1
        assert only.last_state is not None
        assert only.last_state.exit_code == 4
        assert not (pod.directory / "logs" / "main.2").exists()
        pod.tell("stop 5")
        assert pod.end() == 1
        assert codes(pod) == {"main": 4}


@shells
@pytest.mark.parametrize("how", ["signal", "fifo"])
def test_a_handler_has_its_grace_and_its_code(shell: list[str], how: str, tmp_path: Path) -> None:
    script = "trap 'sleep 1; echo handled; exit 7' TERM; echo up; while :; do sleep 0.1; done 2>/dev/null"
    with supervised(shell, tmp_path, request(box(script))) as pod:
        pod.until("up")
        if how == "fifo":
            pod.tell("stop 30")
        else:
            os.kill(int((pod.directory / "claim").readlink().name.split()[0]), signal.SIGTERM)
        pod.end()
        assert codes(pod) == {"main": 7}
        assert pod.log().endswith("handled\n")


@shells
def test_what_ignores_term_is_killed_with_its_children(shell: list[str], tmp_path: Path) -> None:
    child = "setsid sh -c 'trap \"\" TERM; echo child; while :; do sleep 0.1; done'"
    script = f"trap '' TERM; {child} & while :; do sleep 1; done"
    with supervised(shell, tmp_path, request(box(script))) as pod:
        pod.until("child")
        pod.tell("stop 1")
        pod.end()
        assert codes(pod) == {"main": 137}
        assert not marked(pod.pod.uid)


@shells
def test_the_deadline(shell: list[str], tmp_path: Path) -> None:
    wanted = request(box("sleep 300"), box("exit 5", "early"), activeDeadlineSeconds=1, terminationGracePeriodSeconds=5)
    with supervised(shell, tmp_path, wanted) as pod:
        assert pod.end() == 1
        status = pod.status()
        assert (status.phase, status.reason) == (Phase.FAILED, "DeadlineExceeded")
        assert codes(pod) == {"main": 143, "early": 5}


@pytest.mark.parametrize("shell", [SHELLS[name] for name in SHELLS if name != "busybox"])
def test_interrupt_works_inside(shell: list[str], tmp_path: Path) -> None:
    """A background job of a shell ignores INT; a container must not. Busybox' own env cannot undo that."""
    with supervised(shell, tmp_path, request(box("kill -INT $$$$; echo survived"))) as pod:
        pod.end()
        assert codes(pod) == {"main": 130}


@shells
def test_forty_containers(shell: list[str], tmp_path: Path) -> None:
    with supervised(shell, tmp_path, request(*(box(f"exit {n}", f"c{n}") for n in range(40)))) as pod:
        pod.end()
        assert codes(pod) == {f"c{n}": n for n in range(40)}


def test_only_one_ever_supervises(tmp_path: Path) -> None:
    with supervised(["sh"], tmp_path, request(box("echo once; sleep 300"))) as pod:
        pod.until("once")
        directory = str(pod.directory)
        for _ in range(3):
            assert os.spawnvp(os.P_WAIT, "sh", ["sh", f"{directory}/supervisor.sh", directory]) == 0
        assert pod.log() == "once\n"
        assert isinstance(pod.status().containers[0].state, Running)


def test_a_deleted_pod_is_not_started(tmp_path: Path) -> None:
    wanted = request(box("echo never"))
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / wanted.pod.uid).touch()
    with supervised(["sh"], tmp_path, wanted) as pod:
        pod.end()
        assert not [*(pod.directory / "logs").iterdir()]


def test_secrets_go_at_the_end_and_are_closed_before(tmp_path: Path) -> None:
    env = [{"name": "PW", "value": "s3cret"}]
    with supervised(["sh"], tmp_path, request(box("echo up; sleep 300", env=env))) as pod:
        pod.until("up")
        start = pod.directory / "start" / "main"
        assert b"s3cret" in start.read_bytes()
        assert stat.S_IMODE(start.stat().st_mode) == 0o600
        pod.tell("stop 0")
        pod.end()
        assert not start.exists()
        files = [path for path in pod.directory.rglob("*") if path.is_file()]
        assert files
        assert not [path for path in files if b"s3cret" in path.read_bytes()]


def test_the_environment_is_clean_and_files_have_the_usual_modes(tmp_path: Path) -> None:
    with supervised(["sh"], tmp_path, request(box("env; umask; ls -l /proc/self/fd | wc -l"))) as pod:
        pod.end()
        *env, umask, files = pod.log().splitlines()
        names = {line.split("=")[0] for line in env}
        ours = {"IL_CONTAINER", "IL_DIR", "IL_VOLUMES", "IL_POD_IP", "IL_HOST_IP"}
        assert names <= ours | {"PATH", "HOME", "PWD", "OLDPWD", "_", "SHLVL"}
        assert umask == "0022"
        assert int(files) <= 5  # a heading, 0, 1, 2 and that of ls itself


def marked(uid: str) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"IL_CONTAINER={uid}/".encode() in file.read_bytes():
                found.append(file.parent.name)
        except OSError:
            continue
    return found
