"""What Slurm says, and what a pod's status is by its files and by that."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from interlink.drivers.slurm import judgement, rejections, states
from interlink.drivers.slurm.judgement import Evidence
from interlink.drivers.slurm.memory import Memory
from interlink.drivers.slurm.states import Job, Kind, parse_state
from interlink.drivers.supervised import records
from interlink.errors import EngineUnavailable, LaunchFailed, OutcomeUnknown
from interlink.model.status import Phase, Running, Terminated

NOW = datetime.fromtimestamp(1700001000, timezone.utc)
FACTS = {
    "uid": "u1", "namespace": "n", "name": "p", "policy": "Never", "grace": 30,
    "containers": [{"name": "m", "kind": "main", "image": "y"}],
}  # fmt: skip
JOB = "job\tu1\t42\t1700000000\naccepted\tu1\t1700000000\t{}\n"
RUNS = "running\t0\t42\t1700000001\t-\t0\t-\t-\t-"
ENDED = "ended\t0\t-\t1700000001\t1700000002\t{}\tError\t-\t-"


def printed(row: str = "", *, ending: str = "-", over: str = "-", more: str = "", expires: str = "-") -> str:
    status = f"pod\tu1\t7\t100\t5\tboot\t1700000000\t{ending}\t{over}\t10.0.0.9\nc\t0\t{row}\nend\n" if row else ""
    return f"time\t1700001000\np\tu1\n{json.dumps(FACTS)}\n{JOB.format(expires)}{status}{more}"


def record(row: str = "", **more: str) -> records.Record:
    return records.read(printed(row, **more)).records["u1"]


def job(state: str, **more: object) -> Job:
    ended = parse_state(state).kind in (Kind.ENDED, Kind.FAILED)
    end = NOW - timedelta(seconds=60) if ended else None
    return replace(Job("42", parse_state(state), "u1", end=end), **more)  # type: ignore[arg-type]


EVERY = [
    ("PD", Phase.PENDING, ""), ("CF", Phase.PENDING, ""), ("RQ", Phase.PENDING, ""), ("RH", Phase.PENDING, "Held"),
    ("SE", Phase.PENDING, "Held"), ("R", Phase.RUNNING, ""), ("CG", Phase.RUNNING, ""), ("SO", Phase.RUNNING, ""),
    ("S", Phase.RUNNING, "Suspended"), ("ST", Phase.RUNNING, "Stopped"), ("RV", Phase.UNKNOWN, ""),
    ("nonsense", Phase.UNKNOWN, ""), ("?", Phase.UNKNOWN, ""),
]  # fmt: skip


@pytest.mark.parametrize(("state", "phase", "reason"), EVERY)
def test_states_that_are_no_ends(state: str, phase: Phase, reason: str) -> None:
    waits = parse_state(state).kind is Kind.PENDING
    evidence = Evidence(job(state, why="Resources"))
    known = record("" if waits else RUNS)
    status = judgement.status(known, evidence, NOW)
    assert (status.phase, status.reason) == (phase, reason)
    assert not status.terminal
    assert judgement.verdict(known, evidence, NOW, timedelta(hours=1)) is None
    if waits:
        assert "Resources" in status.message


ENDS = [
    ("CD", "StatusLost"), ("F", "JobFailed"), ("CA", "Cancelled"), ("TO", "TimeLimit"), ("DL", "DeadlineExceeded"),
    ("OOM", "OOMKilled"), ("NF", "NodeLost"), ("BF", "NodeBootFailed"), ("PR", "Preempted"),
    ("LAUNCH_FAILED", "LaunchFailed"), ("CANCELLED by 1000", "Cancelled"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "reason"), ENDS)
def test_an_end_that_the_files_do_not_tell_is_written_down(state: str, reason: str) -> None:
    evidence = Evidence(job(state))
    assert not judgement.status(record(RUNS), evidence, NOW).terminal
    found = judgement.verdict(record(RUNS), evidence, NOW, timedelta(hours=1))
    assert found is not None
    assert found.reason == reason
    note = f"lost\tu1\t1700000990\t{found.reason}\t{found.message}\n"
    status = judgement.status(record(RUNS, more=note), evidence, NOW)
    assert (status.phase, status.reason) == (Phase.FAILED, reason)
    state_of = status.containers[0].state
    assert isinstance(state_of, Terminated)
    assert state_of.reason == ("OOMKilled" if state == "OOM" else "ContainerStatusUnknown")


@pytest.mark.parametrize("state", [state for state, _ in ENDS])
def test_files_decide_where_they_tell_an_end(state: str) -> None:
    known = record(ENDED.format(3), ending="Completed", over="yes")
    status = judgement.status(known, Evidence(job(state)), NOW)
    assert (status.phase, status.reason) == (Phase.FAILED, "")
    assert judgement.verdict(known, Evidence(job(state)), NOW, timedelta(hours=1)) is None


@pytest.mark.parametrize(("state", "phase", "reason"), [
    ("R", Phase.RUNNING, ""), ("CG", Phase.RUNNING, ""),
    ("PR", Phase.FAILED, "Preempted"), ("TO", Phase.FAILED, "TimeLimit"),
])  # fmt: skip
def test_why_a_pod_was_stopped_is_told_once_slurm_tells_it(state: str, phase: Phase, reason: str) -> None:
    """The supervisor has ended before the job is seen to be preempted; a final status would stay."""
    stopped = record(ENDED.format(143), ending="Stopped", over="yes")
    status = judgement.status(stopped, Evidence(job(state)), NOW)
    assert status.phase is phase
    assert not reason or status.reason == reason


def test_files_have_time_to_arrive() -> None:
    fresh = Evidence(job("NF", end=NOW - timedelta(seconds=3)))
    assert judgement.verdict(record(RUNS), fresh, NOW, timedelta(hours=1)) is None


@pytest.mark.parametrize("known", [job("PD"), job("NF"), None])
def test_an_outage_changes_nothing(known: Job | None) -> None:
    evidence = Evidence(known, outage=True, silent=NOW - timedelta(days=1))
    status = judgement.status(record(RUNS), evidence, NOW)
    assert status.phase is Phase.RUNNING
    assert isinstance(status.containers[0].state, Running)
    assert judgement.verdict(record(RUNS), evidence, NOW, timedelta(hours=1)) is None


def test_a_job_that_nobody_knows_is_unknown_and_lost_in_the_end() -> None:
    evidence = Evidence(silent=NOW - timedelta(minutes=5))
    assert judgement.status(record(RUNS), evidence, NOW).phase is Phase.UNKNOWN
    assert judgement.verdict(record(RUNS), evidence, NOW, timedelta(hours=1)) is None
    found = judgement.verdict(record(RUNS), evidence, NOW, timedelta(minutes=4))
    assert found is not None
    assert found.reason == "StatusLost"


def test_a_deadline_counts_while_the_job_waits() -> None:
    late, early = (record(expires=str(int(NOW.timestamp()) + seconds)) for seconds in (-1, 60))
    found = judgement.verdict(late, Evidence(job("PD")), NOW, timedelta(hours=1))
    assert found is not None
    assert found.reason == "DeadlineExceeded"
    assert judgement.verdict(early, Evidence(job("PD")), NOW, timedelta(hours=1)) is None


def test_a_pod_that_slurm_stopped_has_failed_for_slurms_reason() -> None:
    stopped = record(ENDED.format(0), ending="Stopped", over="yes")
    assert judgement.status(stopped, Evidence(job("PR")), NOW).reason == "Preempted"
    limited = job("F", limit=600, start=NOW - timedelta(seconds=640))
    status = judgement.status(stopped, Evidence(limited), NOW)
    assert (status.phase, status.reason) == (Phase.FAILED, "TimeLimit")
    early = job("F", limit=600, start=NOW - timedelta(seconds=70))
    assert judgement.status(stopped, Evidence(early), NOW).reason == "Stopped"


def test_whether_it_was_for_want_of_memory_is_told_at_the_jobs_end() -> None:
    killed = record(ENDED.format(137), ending="Completed", over="yes")
    assert not judgement.status(killed, Evidence(job("CG")), NOW).terminal
    state = judgement.status(killed, Evidence(job("OOM")), NOW).containers[0].state
    assert isinstance(state, Terminated)
    assert state.reason == "OOMKilled"
    assert judgement.status(killed, Evidence(job("F")), NOW).terminal


def test_the_queue_is_read() -> None:
    lines = [
        "j|42|PENDING|N/A|N/A|1:00|Resources|u1",
        "j|43|RUNNING|1700000000|1700000060|UNLIMITED|None|a|b",
        "q\t0\t",
    ]
    queue = states.parse_queue(lines)
    assert [(j.id, j.name, j.why, j.limit) for j in queue.jobs] == [
        ("42", "u1", "Resources", 60),
        ("43", "a|b", "", None),
    ]
    assert states.parse_queue(["q\t1\tsqueue: error: no"]).error == "squeue: error: no"
    assert states.parse_queue([]).error


def test_history_of_purged_jobs_is_read() -> None:
    found = states.parse_history(["h|42|CANCELLED by 0|1700000000|1700000001|0:15", "h|x|F|||"])
    assert {number: known.state.reason for number, known in found.items()} == {"42": "Cancelled"}


def memory(*ticks: tuple[str, states.Queue]) -> Memory:
    made = Memory(timedelta(hours=1))
    for text, queue in ticks:
        made.absorb(made.begin(), text, queue)
    return made


def test_only_what_looks_different_is_told() -> None:
    made = memory((printed(RUNS), states.Queue((job("R"),))))
    assert made.absorb(made.begin(), "time\t1700001030\np\tu1\n", states.Queue((job("R"),))) == frozenset()
    assert made.absorb(made.begin(), "time\t1700001060\np\tu1\n", states.Queue((job("S"),))) == {"u1"}
    assert made.absorb(made.begin(), "time\t1700001090\n", states.Queue()) == {"u1"}
    assert made.live() == {}


def test_a_pod_that_came_during_a_tick_is_not_gone() -> None:
    made = memory()
    step = made.begin()
    made.add(FACTS, "42")
    made.absorb(step, "time\t1700001000\n", states.Queue())
    assert set(made.live()) == {"u1"}
    made.absorb(made.begin(), "time\t1700001000\n", states.Queue())
    assert made.live() == {}


def test_history_is_asked_once_for_what_the_queue_does_not_show() -> None:
    made = memory((printed(RUNS), states.Queue()))
    assert made.missing() == {"u1": "42"}
    assert made.missing() == {}
    assert made.learn({}, ["u1"]) == {"u1"}
    assert made.live()["u1"].phase is Phase.UNKNOWN


def test_the_queue_of_before_is_kept_through_an_outage() -> None:
    made = memory((printed(), states.Queue((job("PD", why="Priority"),))))
    before = made.live()["u1"]
    made.absorb(made.begin(), "time\t1700001030\np\tu1\n", states.Queue(error="down"))
    assert made.trouble == "down"
    assert made.missing() == {}
    assert made.live()["u1"].phase is before.phase


POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


@pytest.mark.parametrize(
    ("word", "said", "error"),
    [
        ("refused", "sbatch: error: invalid partition specified: x", LaunchFailed),
        ("refused", f"error: QOSMaxSubmitJobPerUserLimit\n{POLICY}", EngineUnavailable),
        ("later", "Unable to contact slurm controller (connect failure)", EngineUnavailable),
        ("unclear", "Socket timed out on send/recv operation", OutcomeUnknown),
    ],
)  # fmt: skip
def test_rejections(word: str, said: str, error: type[Exception]) -> None:
    assert isinstance(rejections.error_of(word, said, "h"), error)
