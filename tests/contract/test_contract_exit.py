"""How containers end, and what becomes of their pod."""

from __future__ import annotations

import pytest

from interlink.model.status import Phase, Terminated
from tests.contract.support import FOREVER, Box, Rig, container, ended, runs


@pytest.mark.parametrize("code", [0, 1, 2, 3, 125, 126, 127, 128, 137, 143, 255])
def test_exit_code(rig: Rig, code: int) -> None:
    with rig.run(Box(f"exit {code}", code=code)) as run:
        status = run.ended()
        assert ended(status).exit_code == code
        assert status.phase is (Phase.FAILED if code else Phase.SUCCEEDED)
        assert ended(status).reason == ("Error" if code else "Completed")


@pytest.mark.needs("processes")
@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("SEGV", 139), ("TERM", 143)])
def test_death_by_signal(rig: Rig, signal: str, code: int) -> None:
    # The shell that is killed is not process 1 of a namespace, which the kernel would protect from itself.
    with rig.run(Box(f"sh -c 'kill -{signal} $$$$'; exit $?")) as run:
        assert ended(run.ended()).exit_code == code


@pytest.mark.needs("processes")
def test_a_short_life_has_true_times(rig: Rig) -> None:
    with rig.run(Box("date +%s")) as run:
        status = run.ended()
        written = int(run.log())
        only = ended(status)
        assert only.started_at is not None
        assert only.finished_at is not None
        assert int(only.started_at.timestamp()) - 2 <= written <= int(only.finished_at.timestamp()) + 2


@pytest.mark.needs("processes")
@pytest.mark.parametrize("program", ["/no/such/program", "no-such-program", "/etc"])
def test_a_command_that_cannot_start(rig: Rig, program: str) -> None:
    with rig.run(Box(argv=[program])) as run:
        status = run.ended()
        assert status.phase is Phase.FAILED
        assert (ended(status).exit_code, ended(status).reason) == (128, "StartError")
        assert program.rsplit("/", maxsplit=1)[-1] in ended(status).message


@pytest.mark.needs("processes")
def test_the_end_of_a_log_is_the_message_only_of_what_failed(rig: Rig) -> None:
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    boxes = [
        Box("seq 1000; printf 'why \\\\ \\t so\\n'; exit 3", name="bad", more=policy),
        Box("echo why", name="good", more=policy),
        Box("echo why; exit 5", name="plain"),
    ]
    with rig.run(*boxes) as run:
        status = run.ended()
        quoted = "".join(f"{number}\n" for number in range(922, 1001)) + "why \\ \t so\n"
        assert {box.name: ended(status, box.name).message for box in boxes} == {"bad": quoted, "good": "", "plain": ""}


@pytest.mark.needs("mounts")
def test_what_a_container_writes_for_it_is_its_message(rig: Rig) -> None:
    boxes = [
        Box("printf 'all\\nis \"well\"' >/dev/termination-log", name="usual"),
        Box("echo because >/tmp/why; exit 3", name="own", more={"terminationMessagePath": "/tmp/why"}),
        Box("yes 0123456789 | head -c 6000 >/dev/termination-log", name="long"),
        Box(
            "echo logged; echo said >/dev/termination-log; exit 4",
            name="both",
            more={"terminationMessagePolicy": "FallbackToLogsOnError"},
        ),
        Box(
            "printf sealed >/dev/termination-log",
            name="sealed",
            more={"securityContext": {"readOnlyRootFilesystem": True}},
        ),
    ]
    with rig.run(*boxes) as run:
        status = run.ended()
        assert {box.name: ended(status, box.name).message for box in boxes} == {
            "usual": 'all\nis "well"',
            "own": "because\n",
            "long": ("0123456789\n" * 600)[:6000][-4096:],
            "both": "said\n",
            "sealed": "sealed",
        }


@pytest.mark.needs("mounts", "restarts")
def test_a_message_belongs_to_one_attempt(rig: Rig) -> None:
    script = "mkdir /v/data/began || exec sleep 300; printf first >/dev/termination-log; exit 3"
    spec = {"restartPolicy": "OnFailure", "volumes": [{"name": "data", "emptyDir": {}}]}
    with rig.run(Box(script, volumes=["data"]), **spec) as run:
        status = run.until(
            lambda s: runs(container(s, "main")) and container(s, "main").restart_count == 1, "it runs again"
        )
        last = container(status, "main").last_state
        assert isinstance(last, Terminated)
        assert (last.exit_code, last.message) == (3, "first")


def test_one_main_ends_early(rig: Rig) -> None:
    with rig.run(Box("exit 0"), Box("sleep 300", name="other", **FOREVER)) as run:
        status = run.until(
            lambda s: isinstance(container(s, "main").state, Terminated) and runs(container(s, "other")), "one ended"
        )
        assert status.phase is Phase.RUNNING


def test_one_main_fails_and_one_runs_on(rig: Rig) -> None:
    with rig.run(Box("exit 3", code=3), Box("sleep 12", name="other", run=4)) as run:
        status = run.until(
            lambda s: isinstance(container(s, "main").state, Terminated) and runs(container(s, "other")), "one failed"
        )
        assert status.phase is Phase.RUNNING
        status = run.ended()
        assert status.phase is Phase.FAILED
        assert (ended(status).exit_code, ended(status, "other").exit_code) == (3, 0)


def test_ten_mains_are_all_reported(rig: Rig) -> None:
    with rig.run(*(Box(f"exit {n}", name=f"c{n}", code=n) for n in range(10))) as run:
        status = run.ended()
        assert {c.name: ended(status, c.name).exit_code for c in status.containers} == {f"c{n}": n for n in range(10)}


def test_two_containers_have_logs_of_their_own(rig: Rig) -> None:
    with rig.run(Box("echo one", log="one\n"), Box("echo two", name="other", log="two\n")) as run:
        run.ended()
        assert (run.log("main"), run.log("other")) == (b"one\n", b"two\n")


@pytest.mark.needs("images")
def test_localhost_is_shared_between_containers(rig: Rig) -> None:
    server = "echo shared > /tmp/c-$NAME; nc -l -p $PORT < /tmp/c-$NAME; rm -f /tmp/c-$NAME"
    client = "for i in $(seq 100); do nc 127.0.0.1 $PORT < /dev/null > got 2>&1; grep . got && exit; sleep 0.2; done"
    env = {"env": [{"name": "PORT", "value": "18765"}, {"name": "NAME", "value": "x"}]}
    with rig.run(Box(server, name="server", more=env), Box(f"cd /tmp; {client}", more=env)) as run:
        run.ended()
        assert b"shared" in run.log("main")
