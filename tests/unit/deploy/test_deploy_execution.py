"""Steps carried out: looked at, mended, looked at again; one machine never stops another."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from interlink.deploy import recap
from interlink.deploy.execution import Observer, Options, execute
from interlink.deploy.steps import Difference, Finding, Outcome, Plan, Step
from interlink.errors import CommandFailed, ConnectionLost, HostUnreachable


@dataclass
class Thing:
    """Something that is wanted to be `right`."""

    right: bool = False
    stubborn: bool = False
    mended: int = 0
    looks: int = 0

    def look(self) -> Finding:
        self.looks += 1
        return Finding("seen", () if self.right else (Difference("thing", "wrong\n", "right\n"),))

    def mend(self) -> None:
        self.mended += 1
        self.right = not self.stubborn

    @property
    def step(self) -> Step:
        return Step("thing", self.look, self.mend)


def states(outcomes: list[Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def test_what_differs_is_mended_once_and_a_second_run_changes_nothing() -> None:
    thing = Thing()
    assert states(execute([Plan("a", [thing.step])], Options())) == ["changed"]
    assert states(execute([Plan("a", [thing.step])], Options())) == ["ok"]
    assert thing.mended == 1


def test_a_dry_run_tells_and_changes_nothing() -> None:
    thing = Thing()
    probed: list[str] = []
    probe = Step("probe", lambda: probed.append("x") or Finding(), probe=True)  # type: ignore[func-returns-value]
    outcomes = execute([Plan("a", [thing.step, probe])], Options(dry_run=True))
    assert states(outcomes) == ["changed", "skipped"]
    assert (thing.mended, probed) == (0, [])
    assert recap.conclusion(outcomes, dry_run=True) == "1 would change; all is well"


def test_a_mend_that_did_not_help_is_a_failure() -> None:
    [outcome] = execute([Plan("a", [Thing(stubborn=True).step])], Options())
    assert outcome.state == "failed"
    assert "still differs" in outcome.note


def test_what_nobody_can_mend_is_a_failure() -> None:
    thing = Thing()
    assert states(execute([Plan("a", [Step("thing", thing.look)])], Options())) == ["failed"]


def raising(error: Exception) -> Step:
    def look() -> Finding:
        raise error

    return Step("raising", look)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (HostUnreachable("host a: refused"), "unreachable"),
        (ConnectionLost("host a: broke"), "unreachable"),
        (CommandFailed("said no"), "failed"),
        (KeyError("a fault of ours"), "failed"),
    ],
)
def test_a_bad_machine_ends_its_own_plan_and_no_other(error: Exception, state: str) -> None:
    never, other = Thing(), Thing()
    outcomes = execute([Plan("bad", [raising(error), never.step]), Plan("good", [other.step])], Options(forks=1))
    assert [(o.target, o.state) for o in outcomes] == [("bad", state), ("good", "changed")]
    assert never.looks == 0
    assert not recap.well(outcomes)
    assert recap.conclusion(outcomes, dry_run=False) == "1 changed; not well: bad"


def test_machines_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=30)

    def look() -> Finding:
        meeting.wait()
        return Finding()

    plans = [Plan(name, [Step("meet", look)]) for name in "abc"]
    assert states(execute(plans, Options(forks=3))) == ["ok"] * 3


@dataclass
class Interrupting(Observer):
    begun: list[str] = field(default_factory=list)

    def began(self, target: str, step: str) -> None:
        self.begun.append(step)


def test_after_an_interrupt_no_further_step_begins() -> None:
    observer = Interrupting()

    def interrupted() -> Finding:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute([Plan("a", [Step("first", interrupted), Thing().step])], Options(), observer)
    assert observer.begun == ["first"]


def test_the_recap_counts_and_its_json_shows_no_content() -> None:
    outcomes = execute([Plan("long-name", [Thing().step]), Plan("b", [Thing(right=True).step])], Options())
    lines = list(recap.lines(outcomes, dry_run=False))
    assert lines == [
        "long-name  ok=0  changed=1  failed=0  unreachable=0  skipped=0",
        "b          ok=1  changed=0  failed=0  unreachable=0  skipped=0",
        "1 changed; all is well",
    ]
    told = recap.as_json(outcomes, dry_run=False)
    assert told["targets"][0]["steps"][0]["differences"] == ["thing"]
    assert "wrong" not in str(told)


def test_a_difference_is_shown_as_a_diff() -> None:
    shown = recap.diff(Difference("file", "a\nb\n", "a\nc"))
    assert "-b\n" in shown
    assert "+c\n" in shown
    assert recap.diff(Difference("secret file")) == "secret file\n"
