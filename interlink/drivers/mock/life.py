"""The life of one mock pod, computed from plans and a clock; pure but for its own state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from math import inf

from interlink.drivers.mock.plan import Plan
from interlink.model.pod import Container, Pod
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, Terminated, Waiting, phase_of
from interlink.model.usage import ContainerUsage


def utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, timezone.utc)


def restart_delay(restarts: int) -> float:
    """Seconds before restart number `restarts` + 1: at once, then 10 s doubling to 300 s (decisions.md 16)."""
    return 0.0 if restarts == 0 else min(10.0 * 2 ** (restarts - 1), 300.0)


@dataclass
class Slot:
    """One container: what it shows, and when (`due`) its next change comes."""

    container: Container
    plan: Plan
    status: ContainerStatus
    due: float = inf
    killed_at: float = inf  # TERM was sent

    @property
    def idle(self) -> bool:
        """Never started, and not asked to."""
        return isinstance(self.status.state, Waiting) and self.due == inf

    @property
    def over(self) -> bool:
        return isinstance(self.status.state, Terminated) and self.due == inf

    @property
    def passed(self) -> bool:
        """The containers behind this init or sidecar may start."""
        if self.container.kind is Kind.SIDECAR:
            return self.status.started or self.status.last_state is not None
        return isinstance(self.status.state, Terminated) and self.status.state.exit_code == 0

    def usage(self, now: float) -> ContainerUsage | None:
        """Return what the container has used by `now`; None unless it runs."""
        state = self.status.state
        if not isinstance(state, Running) or state.started_at is None:
            return None
        ran = max(now - state.started_at.timestamp(), 0.0)
        cpu = None if self.plan.cpu is None else self.plan.cpu * ran
        return ContainerUsage(self.status.name, cpu, self.plan.memory, state.started_at)


@dataclass
class Life:
    """A pod from its creation at `born` (seconds of the epoch) to its end."""

    pod: Pod
    plans: Callable[[str], Plan]
    born: float
    slots: list[Slot] = field(init=False)
    ending: str = ""  # why it is being stopped: Deleted, DeadlineExceeded
    kill_at: float = inf
    deadline_at: float = inf

    def __post_init__(self) -> None:
        self.slots = [
            Slot(c, self.plans(c.name), ContainerStatus(c.name, c.kind, c.image, state=Waiting("PodInitializing")))
            for c in self.pod.containers
        ]
        if self.pod.deadline is not None:
            self.deadline_at = self.born + self.pod.deadline
        self._go_on(self.born)

    def of(self, kind: Kind) -> list[Slot]:
        return [slot for slot in self.slots if slot.container.kind is kind]

    def slot(self, name: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.container.name == name), None)

    @property
    def next_at(self) -> float:
        """When something changes next, in seconds of the epoch; `inf` for never."""
        return min([slot.due for slot in self.slots] + [self.kill_at, self.deadline_at])

    @property
    def ended(self) -> bool:
        """No container runs and none will."""
        return all(slot.due == inf and not isinstance(slot.status.state, Running) for slot in self.slots)

    def advance(self, now: float) -> bool:
        """Let everything happen that is due; say whether anything did."""
        moved = False
        while (at := self.next_at) <= now:
            self._step(at)
            moved = True
        return moved

    def stop(self, now: float, grace: float, reason: str) -> None:
        """Send TERM, and KILL after `grace` seconds; a second stop can only shorten the first."""
        self.ending = self.ending or reason
        self.deadline_at = inf
        self.kill_at = min(self.kill_at, now + grace)
        for slot in self.slots:
            if isinstance(slot.status.state, Waiting) and slot.due != inf:
                self._never(slot, now)
        self._go_on(now)

    def _step(self, at: float) -> None:
        if at >= self.deadline_at:
            self.stop(at, self.pod.grace, "DeadlineExceeded")
        if at >= self.kill_at:
            self.kill_at = inf
            for slot in self.slots:
                if isinstance(slot.status.state, Running):
                    self._end(slot, at, 137)
        for slot in self.slots:
            if slot.due <= at:
                self._turn(slot, at)
        self._go_on(at)

    def _turn(self, slot: Slot, at: float) -> None:
        if not isinstance(slot.status.state, Running):
            if slot.status.last_state is not None:
                slot.status = replace(slot.status, restart_count=slot.status.restart_count + 1)
            slot.status = replace(
                slot.status,
                state=Running(utc(at)),
                container_id=f"mock://{self.pod.uid}/{slot.container.name}/{slot.status.restart_count}",
                ready=True,
                started=True,
            )
            slot.due = at + slot.plan.run
        else:
            stopped = at >= slot.killed_at + slot.plan.stop
            self._end(slot, at, slot.plan.stop_code if stopped else slot.plan.code(slot.status.restart_count))

    def _end(self, slot: Slot, at: float, code: int) -> None:
        started = slot.status.state.started_at if isinstance(slot.status.state, Running) else None
        ended = Terminated(
            code,
            "Completed" if code == 0 else "Error",
            started_at=started,
            finished_at=utc(at),
            container_id=slot.status.container_id,
        )
        slot.status = replace(slot.status, state=ended, ready=False, started=False)
        slot.due = inf
        if not self.ending and self._restarts(slot, code):
            delay = restart_delay(slot.status.restart_count)
            slot.status = replace(
                slot.status,
                state=Waiting("CrashLoopBackOff", f"back-off {delay:.0f}s restarting failed container"),
                last_state=ended,
            )
            slot.due = at + delay

    def _restarts(self, slot: Slot, code: int) -> bool:
        policy = self.pod.restart_policy
        if slot.container.kind is Kind.SIDECAR:
            return True
        if slot.container.kind is Kind.INIT:
            return code != 0 and policy != "Never"
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    def _never(self, slot: Slot, at: float) -> None:
        """A stop met a container that waited: what never ran is lost, what ran keeps its last end."""
        lost = Terminated(137, "ContainerStatusUnknown", "the container was never started", finished_at=utc(at))
        slot.status = replace(slot.status, state=slot.status.last_state or lost)
        slot.due = inf

    def _go_on(self, at: float) -> None:
        if self.ending:
            self._wind_down(at)
            return
        for slot in self.slots:
            if slot.idle:
                self._launch(slot, at)
            if slot.container.kind is not Kind.MAIN and not slot.passed:
                if slot.over:  # an init that failed for good: nothing after it starts
                    self._stop_sidecars(at)
                return
        if all(slot.over for slot in self.of(Kind.MAIN)):
            self._stop_sidecars(at)

    def _launch(self, slot: Slot, at: float) -> None:
        slot.status = replace(slot.status, state=Waiting("ContainerCreating"))
        slot.due = at + slot.plan.pending

    def _stop_sidecars(self, at: float) -> None:
        if any(not slot.over and not slot.idle for slot in self.of(Kind.SIDECAR)):
            self.ending = "Completed"
            self.kill_at = at + self.pod.grace
            self._wind_down(at)

    def _wind_down(self, at: float) -> None:
        """Stop inits and mains together, then the sidecars in reverse order."""
        first = [slot for slot in self.slots if slot.container.kind is not Kind.SIDECAR]
        self._term(first, at)
        if any(isinstance(slot.status.state, Running) for slot in first):
            return
        for slot in reversed(self.of(Kind.SIDECAR)):
            self._term([slot], at)
            if isinstance(slot.status.state, Running):
                return
        self.kill_at = inf

    def _term(self, slots: list[Slot], at: float) -> None:
        for slot in slots:
            if isinstance(slot.status.state, Waiting) and slot.due != inf:
                self._never(slot, at)
            if isinstance(slot.status.state, Running) and slot.killed_at == inf:
                slot.killed_at = at
                slot.due = min(slot.due, at + slot.plan.stop)

    def usage(self, now: float) -> tuple[ContainerUsage, ...]:
        """Return what the running containers have used by `now`, as far as their plans say it."""
        return tuple(used for slot in self.slots if (used := slot.usage(now)))

    def status(self) -> PodStatus:
        """Return what a kubelet would show of the pod."""
        containers = tuple(slot.status for slot in self.slots)
        late = self.ending == "DeadlineExceeded"
        phase = phase_of(containers, "Never" if self.ending else self.pod.restart_policy)
        if self.ending and self.ended and (late or not phase.terminal):
            phase = Phase.FAILED
        elif phase.terminal and not self.ended:
            phase = phase_of(containers, "Always")  # it is about to end, and has not yet
        return PodStatus(
            uid=self.pod.uid,
            namespace=self.pod.namespace,
            name=self.pod.name,
            jid=f"mock-{self.pod.uid}",
            phase=phase,
            reason="DeadlineExceeded" if late else "",
            message="Pod was active on the node longer than the specified deadline" if late else "",
            containers=containers,
            started_at=utc(self.born),
        )
