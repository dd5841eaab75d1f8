"""What Slurm says of jobs, read: its states, long and compact, and the lines of squeue, sacct and scontrol. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum


class Kind(Enum):
    """What a state means for a pod."""

    PENDING = "waits, or will run again"
    RUNNING = "runs, as its own files say"
    STOPPED = "holds its place without running"
    ENDED = "has ended, as its own files say"
    FAILED = "was ended by Slurm, an administrator or the machine"
    UNKNOWN = "says nothing"


@dataclass(frozen=True)
class State:
    """One of Slurm's states; `reason` is what a pod shows that ended so, or is held so."""

    name: str
    kind: Kind
    reason: str = ""


def _table(*rows: tuple[str, str, Kind, str]) -> Mapping[str, State]:
    return {name: State(long, kind, reason) for long, short, kind, reason in rows for name in (long, short) if name}


STATES = _table(
    ("PENDING", "PD", Kind.PENDING, ""),
    ("CONFIGURING", "CF", Kind.PENDING, ""),
    ("EXPEDITING", "", Kind.PENDING, ""),
    ("POWER_UP_NODE", "", Kind.PENDING, ""),
    ("REQUEUED", "RQ", Kind.PENDING, ""),
    ("REQUEUE_FED", "RF", Kind.PENDING, ""),
    ("REQUEUE_HOLD", "RH", Kind.PENDING, "Held"),
    ("SPECIAL_EXIT", "SE", Kind.PENDING, "Held"),
    ("RESV_DEL_HOLD", "RD", Kind.PENDING, "Held"),
    ("RUNNING", "R", Kind.RUNNING, ""),
    ("RESIZING", "RS", Kind.RUNNING, ""),
    ("SIGNALING", "SI", Kind.RUNNING, ""),
    ("COMPLETING", "CG", Kind.RUNNING, ""),
    ("STAGE_OUT", "SO", Kind.RUNNING, ""),
    ("SUSPENDED", "S", Kind.STOPPED, "Suspended"),
    ("STOPPED", "ST", Kind.STOPPED, "Stopped"),
    ("COMPLETED", "CD", Kind.ENDED, "StatusLost"),
    ("FAILED", "F", Kind.ENDED, "JobFailed"),
    ("CANCELLED", "CA", Kind.FAILED, "Cancelled"),
    ("TIMEOUT", "TO", Kind.FAILED, "TimeLimit"),
    ("DEADLINE", "DL", Kind.FAILED, "DeadlineExceeded"),
    ("OUT_OF_MEMORY", "OOM", Kind.FAILED, "OOMKilled"),
    ("NODE_FAIL", "NF", Kind.FAILED, "NodeLost"),
    ("BOOT_FAIL", "BF", Kind.FAILED, "NodeBootFailed"),
    ("PREEMPTED", "PR", Kind.FAILED, "Preempted"),
    ("LAUNCH_FAILED", "", Kind.FAILED, "LaunchFailed"),
    ("RECONFIG_FAIL", "", Kind.FAILED, "LaunchFailed"),
    ("REVOKED", "RV", Kind.UNKNOWN, ""),
)


def parse_state(text: str) -> State:
    """Return the state of a word of Slurm's; one that we do not know keeps its text and says nothing.

    >>> parse_state("CANCELLED by 1000").reason, parse_state("PD").name, parse_state("CANCELLED+").name
    ('Cancelled', 'PENDING', 'CANCELLED')
    """
    words = text.split()
    name = words[0].rstrip("+").upper() if words else "?"
    return STATES.get(name, State(text, Kind.UNKNOWN))


@dataclass(frozen=True)
class Job:
    """A job as Slurm tells it; `why` is its reason for waiting or for its end, `limit` in seconds."""

    id: str
    state: State
    name: str = ""
    why: str = ""
    start: datetime | None = None
    end: datetime | None = None
    limit: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the queue holds the job, or may do so."""
        return self.state.kind not in (Kind.ENDED, Kind.FAILED)


@dataclass(frozen=True)
class Queue:
    """An answer of squeue. Where it failed, `error` says why and the jobs mean nothing."""

    jobs: tuple[Job, ...] = ()
    error: str = ""


def parse_queue(lines: Iterable[str]) -> Queue:
    """Read "j|ID|STATE|START|END|LIMIT|REASON|NAME" of `il_queue`, and its "q CODE MESSAGE" (tabs between)."""
    jobs: list[Job] = []
    error = "squeue gave no answer"
    for line in lines:
        if line.startswith("j|"):
            words = line.split("|", 7)
            if len(words) == 8 and words[1].isdecimal():
                _, number, state, start, end, limit, why, name = words
                why = "" if why == "None" else why
                jobs.append(Job(number, parse_state(state), name, why, _time(start), _time(end), parse_limit(limit)))
        elif line.startswith("q\t"):
            _, code, message = [*line.split("\t", 2), ""][:3]
            error = "" if code == "0" else message.strip() or f"squeue failed with code {code}"
    return Queue(tuple(jobs) if not error else (), error)


def parse_history(lines: Iterable[str]) -> dict[str, Job]:
    """Read "h|ID|STATE|START|END|CODE" of `il_history`; the last line of an id counts."""
    found: dict[str, Job] = {}
    for line in lines:
        words = line.split("|")
        if len(words) == 6 and words[0] == "h" and words[1].isdecimal():
            _, number, state, start, end, code = words
            found[number] = Job(number, parse_state(state), why=f"exit code {code}", start=_time(start), end=_time(end))
    return found


def parse_limit(text: str) -> int | None:
    """Return a time limit in seconds; None for none.

    >>> [parse_limit(text) for text in ("1:00", "2:00:00", "1-00:00:30", "UNLIMITED", "INVALID")]
    [60, 7200, 86430, None, None]
    """
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in parts) or (dash and not days.isdecimal()):
        return None
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part)
    return int(days or 0) * 86400 + seconds


def _time(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), timezone.utc) if text.isdecimal() and int(text) else None
