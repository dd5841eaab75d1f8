"""What was observed of a pod: states of containers, and the phase that follows from them.

The rules are the kubelet's (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/).
Times are timezone-aware datetimes in UTC; `None` means "not known".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


@dataclass(frozen=True)
class Waiting:
    """A container that does not run yet, or not now; `reason` as Kubernetes spells it."""

    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True)
class Running:
    """A container whose process runs."""

    started_at: datetime | None = None


@dataclass(frozen=True)
class Terminated:
    """A container that has ended; 128 + n stands for death by signal n."""

    exit_code: int
    reason: str = ""
    message: str = ""
    signal: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    container_id: str = ""


State = Waiting | Running | Terminated


class Kind(str, Enum):
    """The part that a container plays in its pod."""

    INIT = "init"  # runs to its end before the next starts
    SIDECAR = "sidecar"  # an init container with restartPolicy Always
    MAIN = "main"


@dataclass(frozen=True)
class ContainerStatus:
    """One container as it was last seen; the counterpart of Kubernetes' ContainerStatus."""

    name: str
    kind: Kind = Kind.MAIN
    image: str = ""
    image_id: str = ""
    container_id: str = ""  # as Kubernetes writes it, e.g. docker://<64 hex digits>
    state: State = field(default_factory=Waiting)
    last_state: Terminated | None = None
    ready: bool = False
    started: bool = False
    restart_count: int = 0


class Phase(str, Enum):
    """The pod's phase (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase)."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"

    @property
    def terminal(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED)


@dataclass(frozen=True)
class PodStatus:
    """All containers of one pod, and what concerns the pod as a whole.

    `containers` holds init containers and sidecars first, in the order of the spec, then mains.
    `phase` is what the driver's evidence says; `reason` and `message` are the pod's own
    (DeadlineExceeded, Evicted, ...), empty when there is nothing special to say.
    `phase == UNKNOWN` is never terminal: it keeps the last observation, `observed_at` says how old it is.
    """

    uid: str
    namespace: str = ""
    name: str = ""
    jid: str = ""  # the native id: container or Slurm job
    phase: Phase = Phase.PENDING
    reason: str = ""
    message: str = ""
    containers: tuple[ContainerStatus, ...] = ()
    pod_ip: str = ""
    host_ip: str = ""
    started_at: datetime | None = None
    observed_at: datetime | None = None

    @property
    def inits(self) -> tuple[ContainerStatus, ...]:
        """Init containers and native sidecars, in the order of the spec."""
        return tuple(c for c in self.containers if c.kind is not Kind.MAIN)

    @property
    def mains(self) -> tuple[ContainerStatus, ...]:
        return tuple(c for c in self.containers if c.kind is Kind.MAIN)

    @property
    def terminal(self) -> bool:
        return self.phase.terminal


def phase_of(containers: tuple[ContainerStatus, ...], restart_policy: str) -> Phase:
    """Return the phase that the containers' states amount to, as the kubelet computes it.

    Source: `getPhase` of the kubelet. An init that failed for good fails the pod; the phase stays
    Pending while one main container has never started, even if another runs; a container that will
    be restarted counts as running. A native sidecar that runs keeps the pod Running, but its end never
    decides anything. Nothing known of any main container is Pending, never an end. For a pod that
    ends for another reason (deleted, deadline) nothing is restarted any more: pass "Never".
    """
    inits = [c for c in containers if c.kind is Kind.INIT]
    sidecars = [c for c in containers if c.kind is Kind.SIDECAR]
    mains = [c for c in containers if c.kind is Kind.MAIN]
    if restart_policy == "Never" and any(_code(c) for c in inits):
        return Phase.FAILED
    if any(_code(c) != 0 for c in inits) or not mains or any(map(_never_started, (*sidecars, *mains))):
        return Phase.PENDING
    if restart_policy == "Always" or any(isinstance(c.state, Running) for c in (*sidecars, *mains)):
        return Phase.RUNNING
    if all(_code(c) == 0 for c in mains):
        return Phase.SUCCEEDED
    return Phase.FAILED if restart_policy == "Never" else Phase.RUNNING


def _code(container: ContainerStatus) -> int | None:
    return container.state.exit_code if isinstance(container.state, Terminated) else None


def _never_started(container: ContainerStatus) -> bool:
    return isinstance(container.state, Waiting) and container.last_state is None
