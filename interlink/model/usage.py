"""What containers, pods, hosts and nodes have used. `None` is "not known", which is never the same as 0.

CPU is a counter in core-seconds that only rises; memory is the working set in bytes: what cannot be
reclaimed without harm (usage less inactive file pages, as cAdvisor computes it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class ContainerUsage:
    """One running container; its CPU counts from its start."""

    name: str
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    started_at: datetime | None = None


@dataclass(frozen=True)
class HostUsage:
    """A host and our running containers on it, by their pods' UIDs, at one moment of the host's clock.

    `cpu_seconds` and `memory_bytes` are the whole machine's, whoever uses it.
    """

    taken_at: datetime
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    pods: Mapping[str, tuple[ContainerUsage, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PodUsage:
    """The running containers of one pod."""

    uid: str
    namespace: str
    name: str
    taken_at: datetime
    containers: tuple[ContainerUsage, ...] = ()

    @property
    def cpu_seconds(self) -> float | None:
        """The sum over its containers, if all are known."""
        amounts = [item.cpu_seconds for item in self.containers]
        known = [amount for amount in amounts if amount is not None]
        return sum(known) if known and len(known) == len(amounts) else None

    @property
    def memory_bytes(self) -> int | None:
        """The sum over its containers, if all are known."""
        amounts = [item.memory_bytes for item in self.containers]
        known = [amount for amount in amounts if amount is not None]
        return sum(known) if known and len(known) == len(amounts) else None


@dataclass(frozen=True)
class NodeUsage:
    """A virtual node: the sums over its hosts if all have answered, and the pods on those that have."""

    name: str
    taken_at: datetime | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    pods: tuple[PodUsage, ...] = ()
