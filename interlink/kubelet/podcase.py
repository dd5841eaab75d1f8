"""One pod at one moment: the API's object, the backend's record, and what we remember of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from interlink.kubelet import events
from interlink.kubelet.decide import is_terminating
from interlink.kubelet.events import Event
from interlink.model.driver import PodRecord
from interlink.model.pod import Json, Pod, PodRef
from interlink.model.wire import gojson

MISSING_SECONDS = (2.0, 10.0)  # between looks for what a pod needs, at first and at last
TOLD_AGAIN_SECONDS = 60.0
ESCALATE_SECONDS = 15.0  # beyond the grace period; then the grace is none
REMOVAL_SECONDS = 10.0  # so long the API server may take to remove what it has begun to remove


@dataclass
class Entry:
    """What we remember of a pod beside the API and the backend. Lost at a restart, without harm."""

    sent: bool = False
    accepted_at: float | None = None  # time.monotonic
    asked_grace: int | None = None  # of the last delete that was acknowledged, in seconds
    missing_wait: float = MISSING_SECONDS[0]
    told: dict[tuple[str, str], float] = field(default_factory=dict)
    shown: Any = None  # labels and annotations that the volumes were last made of
    pulled: set[str] = field(default_factory=set)  # containers whose images the driver has told to be pulled

    @property
    def accepted_age(self) -> float | None:
        """Seconds since the backend said yes to us; None if it has not."""
        return None if self.accepted_at is None else time.monotonic() - self.accepted_at


@dataclass(frozen=True)
class Case:
    """One pod at one moment. `last` is the API's object as it was last seen, also after its end."""

    uid: str
    pod: Json | None
    job: PodRecord | None
    entry: Entry
    last: Json | None = None

    @property
    def existing(self) -> Json:
        """The API's pod, where the decision implies that there is one."""
        assert self.pod is not None
        return self.pod

    @property
    def ref(self) -> PodRef:
        if self.last is not None:
            return PodRef.of(Pod(self.last))
        return PodRef(self.uid, self.job.namespace, self.job.name) if self.job else PodRef(self.uid)

    @property
    def grace(self) -> int:
        """The grace period that is wished for now, in seconds."""
        if self.last is None:
            return 30 if self.entry.asked_grace is None else self.entry.asked_grace
        declared = self.last["metadata"].get("deletionGracePeriodSeconds")
        if self.pod is None:
            return max(1, int(declared or 0))  # removed by force: what a real kubelet gives
        if is_terminating(self.pod) and self.seconds_left < -ESCALATE_SECONDS:
            return 0
        return Pod(self.pod).grace if declared is None else int(declared)

    @property
    def seconds_left(self) -> float:
        """How much of a terminating pod's grace period is left, negative when it is over."""
        due = moment(self.existing["metadata"].get("deletionTimestamp"))
        return 0.0 if due is None else (due - datetime.now(timezone.utc)).total_seconds()

    @property
    def removal_wait(self) -> float:
        """How long the API server may still take to remove the pod by itself, in seconds; 0 if it does not do that.

        It writes a grace period of 0 first, and removes the object then. What was cut off between the two goes on by
        a further delete alone (BeforeDelete in k8s.io/apiserver).
        """
        if self.existing["metadata"].get("deletionGracePeriodSeconds") != 0:
            return 0.0
        return max(0.0, min(REMOVAL_SECONDS, REMOVAL_SECONDS + self.seconds_left))

    @property
    def is_overdue(self) -> bool:
        """Say whether the pod's activeDeadlineSeconds have passed since a kubelet took it up."""
        deadline = Pod(self.existing).deadline
        started = moment((self.existing.get("status") or {}).get("startTime"))
        if deadline is None or started is None:
            return False
        return (datetime.now(timezone.utc) - started).total_seconds() >= deadline

    def tell(self, reason: str, message: str, container: str = "", kind: events.Type = "Warning") -> Event | None:
        """Return an event of something that is tried again and again; None if it was told a moment ago."""
        now = time.monotonic()
        if now - self.entry.told.get((reason, message), -math.inf) < TOLD_AGAIN_SECONDS:
            return None
        self.entry.told[reason, message] = now
        return events.pod_event(self.existing, reason, message, kind, container)


def moment(text: object) -> datetime | None:
    return gojson.parse_time(str(text)) if text else None
