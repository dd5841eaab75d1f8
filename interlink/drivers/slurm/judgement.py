"""What a pod's status is, from its own files first and from Slurm's word for its job second. Pure.

Files decide wherever they say an end. Slurm decides only by positive evidence, and only once the files have had
time to arrive; then the end is written beside the files, so that it is known for ever. A controller that does
not answer changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from interlink.bundle.slurmjob import EARLY, MARGIN
from interlink.drivers.slurm.states import Job, Kind
from interlink.drivers.supervised import records
from interlink.drivers.supervised.records import Record
from interlink.model.status import ContainerStatus, Phase, PodStatus, Terminated, Waiting

SETTLE = timedelta(seconds=10)  # from a job's end until its files are believed to be all
FRESH = timedelta(seconds=15)  # for which the queue may not show a new job yet


@dataclass(frozen=True)
class Verdict:
    """The end of a pod that its supervisor cannot tell; to be written down on the host."""

    uid: str
    reason: str
    message: str


@dataclass(frozen=True)
class Evidence:
    """What is known about a pod's job. `silent`: Slurm answers, but knows no such job, since then."""

    job: Job | None = None
    outage: bool = False
    silent: datetime | None = None


def status(record: Record, evidence: Evidence, now: datetime) -> PodStatus:
    """Return what is shown of the pod."""
    shown = records.status_of(record, now)
    job = evidence.job
    if record.lost is not None:
        return shown
    if record.over:
        return _ended(shown, record, job)
    if job is None or evidence.outage:
        return replace(shown, phase=Phase.UNKNOWN) if evidence.silent is not None and not evidence.outage else shown
    said = f"Slurm job {job.id} is {job.state.name}" + (f": {job.why}" if job.why else "")
    if job.state.kind is Kind.PENDING:
        return _waiting(shown, job, said)
    if job.state.kind is Kind.STOPPED:
        idle = tuple(replace(c, ready=False) for c in shown.containers)
        return replace(shown, reason=job.state.reason, message=said, containers=idle)
    return replace(shown, phase=Phase.UNKNOWN, message=said) if job.state.kind is Kind.UNKNOWN else shown


def verdict(record: Record, evidence: Evidence, now: datetime, patience: timedelta) -> Verdict | None:
    """Return the end of a pod that nobody but us will ever tell, or None while there is hope or no evidence."""
    if record.over or record.lost is not None or evidence.outage:
        return None
    uid, job = str(record.facts["uid"]), evidence.job
    waits = not record.pod and (job is None or job.state.kind is Kind.PENDING)
    if waits and record.expires_at is not None and now >= record.expires_at:
        return Verdict(uid, "DeadlineExceeded", records.DEADLINE)
    if job is None:
        since = evidence.silent
        lost = since is not None and now - since >= patience
        message = f"Slurm does not know job {record.job} any more, and the pod has not told its end"
        return Verdict(uid, "StatusLost", message) if lost else None
    if job.alive or (job.end is not None and now - job.end < SETTLE):
        return None
    said = f"Slurm job {job.id} ended as {job.state.name}" + (f": {job.why}" if job.why else "")
    return Verdict(uid, job.state.reason, said)


def is_missing(record: Record, now: datetime) -> bool:
    """Say whether a pod without a job in the queue must have had one there."""
    unfinished = not record.over and record.lost is None
    return unfinished and record.submitted_at is not None and now - record.submitted_at > FRESH


def _waiting(shown: PodStatus, job: Job, said: str) -> PodStatus:
    """Show Slurm's reason with the pod and with every container that waits."""

    def told(container: ContainerStatus) -> ContainerStatus:
        if not isinstance(container.state, Waiting):
            return container
        return replace(container, state=replace(container.state, message=said))

    reason = job.state.reason or shown.reason
    return replace(shown, reason=reason, message=said, containers=tuple(map(told, shown.containers)))


def _ended(shown: PodStatus, record: Record, job: Job | None) -> PodStatus:
    killed = any(_was_killed(container) for container in shown.containers)
    unclear = record.ending == records.STOPPED or (killed and record.ending != "Deleted")
    if job is not None and unclear and job.alive:
        return replace(shown, phase=Phase.RUNNING)  # by whom it was stopped or killed, Slurm says at the job's end
    if job is not None and job.state.name == "OUT_OF_MEMORY":
        shown = replace(shown, containers=tuple(map(_out_of_memory, shown.containers)))
    if record.ending != records.STOPPED or job is None:
        return shown
    if job.state.kind is Kind.FAILED:
        return replace(shown, reason=job.state.reason, message=f"Slurm job {job.id} ended as {job.state.name}")
    if _at_limit(job, int(record.facts["grace"])):
        return replace(shown, reason="TimeLimit", message=f"Slurm job {job.id} reached its time limit")
    return shown


def _at_limit(job: Job, grace: int) -> bool:
    if job.limit is None or job.start is None or job.end is None:
        return False
    return (job.end - job.start).total_seconds() >= min(job.limit - grace - MARGIN - EARLY - 5, job.limit / 2 - EARLY)


def _was_killed(container: ContainerStatus) -> bool:
    return isinstance(container.state, Terminated) and container.state.exit_code == 137


def _out_of_memory(container: ContainerStatus) -> ContainerStatus:
    if not (_was_killed(container) and isinstance(container.state, Terminated)):
        return container
    return replace(container, state=replace(container.state, reason="OOMKilled"))
