"""What the host prints about its pods, as listings; pure.

The lines are `facts` (JSON, by bundle/job.py) and the records of `supervisor.sh`: "pod ...", one "c ..." per
container, "m INDEX ATTEMPT BASE64" per termination message, "e NUMBER TIME TYPE REASON NAME MESSAGE" per event, "end";
besides "time NOW", "lost UID TIME [REASON MESSAGE]" (a pod whose supervisor cannot tell its end any more), "kept UID"
(a deleted one), "job UID ID TIME" and "accepted UID TIME EXPIRES" (of a batch system). Fields are separated by tabs,
"-" is nothing. A record without its "end" is not believed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
DEADLINE = "Pod was active on the node longer than the specified deadline"
STOPPED = "Stopped"  # the supervisor was told to stop, and not by a delete
_CUT = ("DeadlineExceeded", STOPPED)  # endings of pods that had not ended by themselves


@dataclass(frozen=True)
class Lost:
    """What became of a pod whose supervisor cannot tell its end any more."""

    at: datetime
    reason: str = "SupervisorLost"
    message: str = LOST


@dataclass
class Record:
    """All that was printed about one pod."""

    facts: Mapping[str, Any]
    pod: list[str] = field(default_factory=list)
    containers: dict[int, list[str]] = field(default_factory=dict)
    messages: dict[tuple[int, int], str] = field(default_factory=dict)
    """What a container's attempt has left as its termination message, by the numbers of both."""
    events: list[list[str]] = field(default_factory=list)
    lost: Lost | None = None
    kept: bool = False
    job: str = ""
    submitted_at: datetime | None = None
    accepted_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def over(self) -> bool:
        return bool(self.pod) and self.pod[7] == "yes"

    @property
    def ending(self) -> str:
        """Why the supervisor ends the pod, or has ended it; empty while it does not."""
        return _word(self.pod[6]) if self.pod else ""


@dataclass(frozen=True)
class Reading:
    """A whole answer of the host: its clock, its pods, and which of them are deleted already."""

    time: datetime
    records: Mapping[str, Record]

    @property
    def pods(self) -> Mapping[str, PodStatus]:
        return {uid: status_of(record, self.time) for uid, record in self.records.items()}

    @property
    def kept(self) -> frozenset[str]:
        return frozenset(uid for uid, record in self.records.items() if record.kept)


def read(text: str) -> Reading:
    """Understand an answer of the host."""
    now = datetime.now(timezone.utc)
    records: dict[str, Record] = {}
    notes: list[list[str]] = []
    for words in _lines(text):
        match words:
            case ["facts", raw]:
                facts = json.loads(raw)
                records[facts["uid"]] = Record(facts)
            case ["time", at]:
                now = _time(at) or now
            case ["lost" | "kept" | "job" | "accepted", _, *_]:
                notes.append(words)
    _attach(text, records)
    for kind, uid, *rest in notes:
        if uid in records:
            _note(records[uid], kind, rest, now)
    return Reading(now, records)


def _note(record: Record, kind: str, words: list[str], now: datetime) -> None:
    match kind, words:
        case "lost", [at, reason, *message]:
            record.lost = Lost(_time(at) or now, reason, " ".join(message))
        case "lost", [at]:
            record.lost = Lost(_time(at) or now)
        case "kept", []:
            record.kept = True
        case "job", [number, at]:
            record.job, record.submitted_at = number, _time(at)
        case "accepted", [at, expires]:
            record.accepted_at, record.expires_at = _time(at), _time(expires)


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.split("\n"):
        yield ["facts", line] if line.startswith("{") else line.split("\t")


def _attach(text: str, records: Mapping[str, Record]) -> None:
    """Give each complete record to its pod."""
    pod: list[str] = []
    containers: dict[int, list[str]] = {}
    messages: dict[tuple[int, int], str] = {}
    events: list[list[str]] = []
    for words in _lines(text):
        match words:
            case ["pod", *rest] if len(rest) == 9:
                pod, containers, messages, events = rest, {}, {}, []
            case ["c", index, *rest] if pod and len(rest) >= 9:
                containers[int(index)] = [*rest[:8], "\t".join(rest[8:])]
            case ["m", index, attempt, encoded] if pod:
                messages[int(index), int(attempt)] = base64.b64decode(encoded).decode("utf-8", "replace")
            case ["e", *rest] if pod and len(rest) == 6:
                events.append(rest)
            case ["end"]:
                if pod and pod[0] in records:
                    record = records[pod[0]]
                    record.pod, record.containers, record.messages, record.events = pod, containers, messages, events
                pod = []


def status_of(record: Record, now: datetime) -> PodStatus:
    """Return what a kubelet would show of the pod."""
    facts, lost = record.facts, record.lost
    final = record.over or lost is not None
    containers = tuple(_container(record, index, raw) for index, raw in enumerate(facts["containers"]))
    phase = phase_of(containers, "Never" if record.ending or final else facts["policy"])
    if final and (record.ending in _CUT or lost or not phase.terminal):
        phase = Phase.FAILED
    elif not final and phase.terminal:
        phase = phase_of(containers, "Always")  # it is about to end, and has not yet
    reason, message = _reason(record)
    address = _word(record.pod[8]) if record.pod else ""
    return PodStatus(
        uid=facts["uid"],
        namespace=facts["namespace"],
        name=facts["name"],
        jid=record.job or (record.pod[2] if record.pod else ""),
        phase=phase,
        reason=reason,
        message=message,
        containers=containers,
        pod_ip=address,
        host_ip=address,
        started_at=_time(record.pod[5]) if record.pod else None,
        observed_at=now,
    )


def _reason(record: Record) -> tuple[str, str]:
    """Return why the pod as a whole was ended, if there is something special to say."""
    if record.ending == "DeadlineExceeded":
        return record.ending, DEADLINE
    if record.lost is not None:
        return record.lost.reason, record.lost.message
    return (STOPPED, "the pod was told to stop by the host") if record.over and record.ending == STOPPED else ("", "")


def _container(record: Record, index: int, raw: Mapping[str, Any]) -> ContainerStatus:
    kind = Kind(raw["kind"])
    idle = ContainerStatus(raw["name"], kind, raw["image"], state=_unborn(record, index))
    words = record.containers.get(index)
    if words is None or words[0] == "new" or (words[0] == "pulling" and words[7] == "-"):
        return idle
    if words[0] in ("pulling", "unready") and record.lost is None:
        return _unready(idle, words, record.messages.get((index, int(words[1]) - 1), ""))
    state, attempt, _, started, finished, code, reason, last, message = words
    runtime = record.facts.get("runtime", "process")  # bundles of earlier versions do not say
    made = state != "ended" or started != "-"  # what ends with the pod before it could be made was no container
    identity = f"{runtime}://{record.facts['uid']}/{raw['name']}/{attempt}" if made else ""
    said = record.messages.get((index, int(attempt)), "")
    latest = Terminated(
        int(code),
        _word(reason),
        ": ".join(filter(None, (_word(message), said))),
        started_at=_time("0" if reason == "StartError" else started),  # a kubelet's word for never
        finished_at=_time(finished),
        container_id=identity,
    )
    before = _last(last, record.messages.get((index, int(attempt) - 1), ""))
    shown, before = _shown(state, latest, before, record)
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


def _unready(idle: ContainerStatus, words: list[str], said: str) -> ContainerStatus:
    """Return a container whose image is not there, or that cannot be made for another reason."""
    last = _last(words[7], said)
    waiting = Waiting(_word(words[6]), _word(words[8]))
    return replace(idle, state=waiting, last_state=last, restart_count=max(int(words[1]) - 1, 0))


def _shown(
    state: str, latest: Terminated, before: Terminated | None, record: Record
) -> tuple[State, Terminated | None]:
    """Return the state and lastState of a container that was started at least once."""
    lost = record.lost
    if state == "ended" or (state == "waiting" and lost):
        return latest, before
    if lost:
        reason = lost.reason if lost.reason == "OOMKilled" else "ContainerStatusUnknown"
        return Terminated(137, reason, lost.message, started_at=latest.started_at, finished_at=lost.at), before
    if state == "waiting":
        return Waiting("CrashLoopBackOff", "back-off restarting failed container"), latest
    if state == "running":
        return Running(latest.started_at), before
    return Waiting("ContainerCreating"), before


def _unborn(record: Record, index: int) -> Waiting:
    """Behind an init container the kubelet says PodInitializing, else ContainerCreating."""
    inits = any(raw["kind"] != Kind.MAIN.value for raw in record.facts["containers"][: index + 1])
    return Waiting("PodInitializing" if inits else "ContainerCreating")


def _last(words: str, message: str) -> Terminated | None:
    if words == "-":
        return None
    code, reason, started, finished = words.split(" ")
    return Terminated(int(code), reason, message, started_at=_time(started), finished_at=_time(finished))


def _word(word: str) -> str:
    return "" if word == "-" else word


def _time(seconds: str) -> datetime | None:
    return None if not seconds.isdecimal() else datetime.fromtimestamp(int(seconds), timezone.utc)
