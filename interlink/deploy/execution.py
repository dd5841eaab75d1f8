"""Carries plans out, all machines at once; one that fails never stops the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from interlink.deploy import cures
from interlink.deploy.steps import Finding, Outcome, Plan, State, Step
from interlink.errors import ConnectionLost, HostUnreachable, InterlinkError

log = logging.getLogger(__name__)


class Observer:
    """Hears what happens, from any thread; this one does not care."""

    def began(self, target: str, step: str) -> None:
        """A step is being looked at or mended."""

    def ended(self, outcome: Outcome) -> None:
        """A step has come to its end."""


@dataclass(frozen=True)
class Options:
    """How plans are carried out: `forks` machines at a time; a dry run looks and mends nothing."""

    forks: int = 32
    dry_run: bool = False


def execute(plans: Sequence[Plan], options: Options, observer: Observer | None = None) -> list[Outcome]:
    """Carry out all plans and return all outcomes, in the order of the plans.

    KeyboardInterrupt is passed on at once: no step is begun any more, and those under way end with their connections.
    """
    stop = threading.Event()
    listening = observer or Observer()
    executor = ThreadPoolExecutor(max(1, min(options.forks, len(plans) or 1)), thread_name_prefix="deploy")
    try:
        work: list[Callable[[], list[Outcome]]] = [_Walk(plan, options, listening, stop).run for plan in plans]
        futures = [executor.submit(walk) for walk in work]
        return [outcome for future in futures for outcome in future.result()]
    except BaseException:
        stop.set()
        raise
    finally:
        executor.shutdown(wait=not stop.is_set(), cancel_futures=True)


class _Walk:
    """The way through one plan."""

    def __init__(self, plan: Plan, options: Options, observer: Observer, stop: threading.Event) -> None:
        self._plan, self._options, self._observer, self._stop = plan, options, observer, stop

    def run(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for step in self._plan.steps:
            if self._stop.is_set():
                break
            if outcomes and outcomes[-1].bad:
                break
            self._observer.began(self._plan.target, step.name)
            outcomes.append(self._step(step))
            self._observer.ended(outcomes[-1])
        return outcomes

    def _step(self, step: Step) -> Outcome:
        if step.probe and self._options.dry_run:
            return self._outcome(step, "skipped", Finding("not in a dry run"))
        try:
            return self._taken(step)
        except (HostUnreachable, ConnectionLost) as error:
            return self._outcome(step, "unreachable", Finding(f"{error}{cures.cure(error)}"))
        except InterlinkError as error:
            return self._outcome(step, "failed", Finding(str(error)))
        except Exception as error:  # a fault of ours on one machine must not stop the others
            log.exception("%s: %s", self._plan.target, step.name)
            return self._outcome(step, "failed", Finding(f"a fault of interLink: {type(error).__name__}: {error}"))

    def _taken(self, step: Step) -> Outcome:
        found = step.look()
        if not found.differences:
            return self._outcome(step, "ok", found)
        if step.mend is None:
            return self._outcome(step, "failed", Finding(found.note or _sum(found), found.differences))
        if self._options.dry_run:
            return self._outcome(step, "changed", found)
        step.mend()
        after = step.look()
        if after.differences:
            note = f"was mended, and still differs: {_sum(after)}"
            return self._outcome(step, "failed", Finding(note, after.differences))
        return self._outcome(step, "changed", Finding(after.note or _sum(found), found.differences))

    def _outcome(self, step: Step, state: State, finding: Finding) -> Outcome:
        return Outcome(self._plan.target, step.name, state, finding.note, finding.differences)


def _sum(finding: Finding) -> str:
    return ", ".join(difference.what for difference in finding.differences)
