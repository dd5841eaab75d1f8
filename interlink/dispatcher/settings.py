"""How the dispatcher works."""

from __future__ import annotations

from dataclasses import dataclass, field

from interlink.dispatcher.claims import Scope
from interlink.watch import Intervals


@dataclass(frozen=True)
class Settings:
    """Times in seconds."""

    launch_wait: float = 2.0  # how long a create waits for the native id (decisions.md 5)
    per_host: int = 8  # pods of a host that are created, and that are deleted, at the same time
    backoff: float = 0.5  # before what failed is tried again; doubles
    backoff_max: float = 30.0
    tick: float = 1.0  # of the housekeeping: leases, saving, other processes' writes
    strict: bool = False  # a pod without nodeName waits if no host satisfies its selector
    scope: Scope = "host"  # what is leased: hosts, by a server; pods, by one of several `run`s
    keep_deleted: float = 86_400.0  # a deleted pod's row, after the confirmation
    keep_unknown: float = 86_400.0  # a delete without a pod (decisions.md 8)
    intervals: Intervals = field(default_factory=Intervals)
