"""What a shell host prints, read back; above all what is cut, torn or lost."""

from __future__ import annotations

import base64
import json

import pytest

from interlink.drivers.supervised import records
from interlink.model.status import Phase, Running, Terminated, Waiting

FACTS = {
    "uid": "u1", "namespace": "n", "name": "p", "policy": "Never", "grace": 30,
    "containers": [{"name": "i", "kind": "init", "image": "x"}, {"name": "m", "kind": "main", "image": "y"}],
}  # fmt: skip


def printed(
    *containers: str, ending: str = "-", over: str = "-", said: str = "", more: str = "", end: str = "end\n"
) -> str:
    pod = f"pod\tu1\t7\t100\t5555\tboot\t1700000000\t{ending}\t{over}\t10.0.0.9\n"
    rows = "".join(f"c\t{index}\t{row}\n" for index, row in enumerate(containers))
    return f"time\t1700000100\n{json.dumps(FACTS)}\n{pod}{rows}{said}{end}{more}"


RUNS = "running\t0\t42\t1700000001\t-\t0\t-\t-\t-"
NEW = "new\t0\t-\t-\t-\t0\t-\t-\t-"
ENDED = "ended\t0\t-\t1700000001\t1700000002\t{}\t{}\t-\t{}"
WELL, BADLY = ENDED.format(0, "Completed", "-"), ENDED.format(3, "Error", "a\tmessage")


def test_a_running_pod() -> None:
    reading = records.read(printed(WELL, RUNS))
    status = reading.pods["u1"]
    assert status.phase is Phase.RUNNING
    assert (status.pod_ip, status.jid) == ("10.0.0.9", "100")
    assert [type(c.state) for c in status.containers] == [Terminated, Running]
    assert reading.time.timestamp() == 1700000100


@pytest.mark.parametrize("runtime", ["apptainer", None])
def test_a_container_is_named_by_what_runs_it(runtime: str | None) -> None:
    text = (
        printed(WELL, RUNS).replace('"grace"', f'"runtime": "{runtime}", "grace"') if runtime else printed(WELL, RUNS)
    )
    assert records.read(text).pods["u1"].containers[1].container_id == f"{runtime or 'process'}://u1/m/0"


def test_a_message_may_hold_tabs() -> None:
    state = records.read(printed(BADLY, NEW, ending="Failed", over="yes")).pods["u1"].containers[0].state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.message) == (3, "a\tmessage")


@pytest.mark.parametrize("text", [printed(WELL, RUNS, end=""), f"{json.dumps(FACTS)}\n"])
def test_a_torn_record_is_no_evidence(text: str) -> None:
    status = records.read(text).pods["u1"]
    assert status.phase is Phase.PENDING
    assert len(status.containers) == 2


def test_a_failed_init() -> None:
    status = records.read(printed(BADLY, NEW, ending="Failed", over="yes")).pods["u1"]
    assert status.phase is Phase.FAILED
    assert status.containers[1].state == Waiting("PodInitializing")


def test_an_end_is_not_told_before_it_is_complete() -> None:
    assert records.read(printed(WELL, WELL, ending="Completed")).pods["u1"].phase is Phase.RUNNING
    assert records.read(printed(WELL, WELL, ending="Completed", over="yes")).pods["u1"].phase is Phase.SUCCEEDED


def test_the_deadline_fails_what_ended_well() -> None:
    status = records.read(printed(WELL, WELL, ending="DeadlineExceeded", over="yes")).pods["u1"]
    assert (status.phase, status.reason) == (Phase.FAILED, "DeadlineExceeded")


def test_a_lost_supervisor() -> None:
    status = records.read(printed(WELL, RUNS, more="lost\tu1\t1700000050\n")).pods["u1"]
    assert (status.phase, status.reason) == (Phase.FAILED, "SupervisorLost")
    state = status.containers[1].state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (137, "ContainerStatusUnknown")
    assert state.finished_at is not None
    assert state.finished_at.timestamp() == 1700000050


def test_what_had_ended_keeps_its_code_when_the_supervisor_is_lost() -> None:
    state = records.read(printed(WELL, BADLY, more="lost\tu1\t1700000050\n")).pods["u1"].containers[1].state
    assert isinstance(state, Terminated)
    assert state.exit_code == 3


def test_back_off_shows_the_attempt_before() -> None:
    row = "waiting\t1\t-\t1700000001\t1700000002\t3\tError\t4 Error 1 2\t-"
    only = records.read(printed(WELL, row)).pods["u1"].containers[1]
    assert isinstance(only.state, Waiting)
    assert only.state.reason == "CrashLoopBackOff"
    assert only.last_state is not None
    assert (only.last_state.exit_code, only.restart_count) == (3, 1)


def message(index: int, attempt: int, text: bytes) -> str:
    return f"m\t{index}\t{attempt}\t{base64.b64encode(text).decode()}\n"


def test_what_an_attempt_has_left_is_its_message() -> None:
    again = "running\t2\t42\t1700000005\t-\t0\t-\t4 Error 1 2\t-"
    said = message(0, 0, "a \u00e9\nb\tend\n".encode()) + message(1, 1, b"before\xff") + message(1, 0, b"long ago")
    init, main = records.read(printed(WELL, again, said=said)).pods["u1"].containers
    assert isinstance(init.state, Terminated)
    assert init.state.message == "a \u00e9\nb\tend\n"
    assert main.last_state is not None
    assert (main.last_state.exit_code, main.last_state.message) == (4, "before\ufffd")


@pytest.mark.parametrize("state", ["pulling", "unready"])
def test_the_message_of_an_attempt_whose_successor_waits_for_its_image(state: str) -> None:
    row = f"{state}\t1\t-\t1700000001\t1700000002\t3\tErrImagePull\t4 Error 1 2\tno such image"
    main = records.read(printed(WELL, row, said=message(1, 0, b"why"))).pods["u1"].containers[1]
    assert isinstance(main.state, Waiting)
    assert main.last_state is not None
    assert main.last_state.message == "why"


def test_a_message_of_ours_comes_before_that_of_the_container() -> None:
    row = ENDED.format(128, "StartError", "the runtime could not start it")
    state = records.read(printed(WELL, row, said=message(1, 0, b"why"))).pods["u1"].containers[1].state
    assert isinstance(state, Terminated)
    assert state.message == "the runtime could not start it: why"


def test_a_lost_line_of_an_unknown_pod_harms_nobody() -> None:
    assert set(records.read(printed(WELL, RUNS, more="lost\tother\t1\nkept\tother\n")).pods) == {"u1"}


@pytest.mark.parametrize(("started", "named"), [("-", False), ("1700000001", True)])
def test_what_was_never_made_has_no_name(started: str, named: bool) -> None:
    row = f"ended\t0\t-\t{started}\t-\t137\tContainerStatusUnknown\t-\t-"
    (_, main) = records.read(printed(NEW, row, ending="DeadlineExceeded", over="yes")).pods["u1"].containers
    assert isinstance(main.state, Terminated)
    assert bool(main.container_id) is bool(main.state.container_id) is named
