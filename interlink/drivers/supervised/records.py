"""What the host prints about its pods, as listings; pure.

The lines are `facts` (JSON, by bundle/job.py) and the records of `supervisor.sh`: "pod ...", one "c ..." per
container, "end"; besides "time NOW", "lost UID TIME" (a pod whose supervisor died) and "kept UID" (a
deleted one). Fields are separated by tabs, "-" is nothing. A record without its "end" is not believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from interlink.model.status import (
    ContainerStatus,
    Kind,
    Phase,
    PodStatus,
    Running,
    State,
    Terminated,
    Waiting,
    phase_of,
)

LOST = "the pod's supervisor is gone: the host was restarted, or the process was killed"
_DEADLINE = "Pod was active on the node longer than the specified deadline"


@dataclass
class Record:
    """All that was printed about one pod."""

    facts: Mapping[str, Any]
    pod: list[str] = field(default_factory=list)
    containers: dict[int, list[str]] = field(default_factory=dict)
    lost_at: datetime | None = None
    kept: bool = False

    @property
    def over(self) -> bool:
        return bool(self.pod) and self.pod[7] == "yes"


@dataclass(frozen=True)
class Reading:
    """A whole answer of the host: its clock, its pods, and which of them are deleted already."""

    time: datetime
    pods: Mapping[str, PodStatus]
    kept: frozenset[str]


def read(text: str) -> Reading:
    """Understand an answer of `il_list` or `il_delete`."""
    now = datetime.now(timezone.utc)
    records: dict[str, Record] = {}
    lost: dict[str, datetime | None] = {}
    kept: set[str] = set()
    for words in _lines(text):
        match words:
            case ["facts", raw]:
                facts = json.loads(raw)
                records[facts["uid"]] = Record(facts)
            case ["time", at]:
                now = _time(at) or now
            case ["lost", uid, at]:
                lost[uid] = _time(at)
            case ["kept", uid]:
                kept.add(uid)
    _attach(text, records)
    for uid, lost_at in lost.items():
        if uid in records:
            records[uid].lost_at = lost_at or now
    return Reading(now, {uid: status_of(record, now) for uid, record in records.items()}, frozenset(kept))


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.split("\n"):
        yield ["facts", line] if line.startswith("{") else line.split("\t")


def _attach(text: str, records: Mapping[str, Record]) -> None:
    """Give each complete record to its pod."""
    pod: list[str] = []
    containers: dict[int, list[str]] = {}
    for words in _lines(text):
        match words:
            case ["pod", *rest] if len(rest) == 9:
                pod, containers = rest, {}
            case ["c", index, *rest] if pod and len(rest) >= 9:
                containers[int(index)] = [*rest[:8], "\t".join(rest[8:])]
            case ["end"]:
                if pod and pod[0] in records:
                    records[pod[0]].pod, records[pod[0]].containers = pod, containers
                pod = []


def status_of(record: Record, now: datetime) -> PodStatus:
    """Return what a kubelet would show of the pod."""
    facts = record.facts
    ending = _word(record.pod[6]) if record.pod else ""
    final = record.over or record.lost_at is not None
    containers = tuple(_container(record, index, raw) for index, raw in enumerate(facts["containers"]))
    phase = phase_of(containers, "Never" if ending or final else facts["policy"])
    if final and (ending == "DeadlineExceeded" or record.lost_at or not phase.terminal):
        phase = Phase.FAILED
    elif not final and phase.terminal:
        phase = phase_of(containers, "Always")  # it is about to end, and has not yet
    late = ending == "DeadlineExceeded"
    address = _word(record.pod[8]) if record.pod else ""
    return PodStatus(
        uid=facts["uid"],
        namespace=facts["namespace"],
        name=facts["name"],
        jid=record.pod[2] if record.pod else "",
        phase=phase,
        reason="DeadlineExceeded" if late else "SupervisorLost" if record.lost_at else "",
        message=_DEADLINE if late else LOST if record.lost_at else "",
        containers=containers,
        pod_ip=address,
        host_ip=address,
        started_at=_time(record.pod[5]) if record.pod else None,
        observed_at=now,
    )


def _container(record: Record, index: int, raw: Mapping[str, Any]) -> ContainerStatus:
    kind = Kind(raw["kind"])
    idle = ContainerStatus(raw["name"], kind, raw["image"], state=_unborn(record, index))
    words = record.containers.get(index)
    if words is None or words[0] == "new":
        return idle
    state, attempt, _, started, finished, code, reason, last, message = words
    identity = f"process://{record.facts['uid']}/{raw['name']}/{attempt}"
    latest = Terminated(
        int(code),
        _word(reason),
        _word(message),
        started_at=_time(started),
        finished_at=_time(finished),
        container_id=identity,
    )
    shown, before = _shown(state, latest, _last(last), record)
    return ContainerStatus(
        name=raw["name"],
        kind=kind,
        image=raw["image"],
        container_id=identity,
        state=shown,
        last_state=before,
        ready=isinstance(shown, Running),
        started=isinstance(shown, Running),
        restart_count=int(attempt),
    )


def _shown(
    state: str, latest: Terminated, before: Terminated | None, record: Record
) -> tuple[State, Terminated | None]:
    """Return the state and lastState of a container that was started at least once."""
    lost = record.lost_at
    if state == "ended" or (state == "waiting" and lost):
        return latest, before
    if lost:
        unknown = Terminated(137, "ContainerStatusUnknown", LOST, started_at=latest.started_at, finished_at=lost)
        return unknown, before
    if state == "waiting":
        return Waiting("CrashLoopBackOff", "back-off restarting failed container"), latest
    if state == "running":
        return Running(latest.started_at), before
    return Waiting("ContainerCreating"), before


def _unborn(record: Record, index: int) -> Waiting:
    """Behind an init container the kubelet says PodInitializing, else ContainerCreating."""
    inits = any(raw["kind"] != Kind.MAIN.value for raw in record.facts["containers"][: index + 1])
    return Waiting("PodInitializing" if inits else "ContainerCreating")


def _last(words: str) -> Terminated | None:
    if words == "-":
        return None
    code, reason, started, finished = words.split(" ")
    return Terminated(int(code), reason, started_at=_time(started), finished_at=_time(finished))


def _word(word: str) -> str:
    return "" if word == "-" else word


def _time(seconds: str) -> datetime | None:
    return None if seconds == "-" else datetime.fromtimestamp(int(seconds), timezone.utc)
