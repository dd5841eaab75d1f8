"""What to do about one pod: the decision table of the virtual kubelet; pure.

Everything goes by UID. An unreachable backend is not an unknown pod: with `Knowledge.AWAY` nothing is
concluded from a job that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from interlink.model.driver import PodRecord
from interlink.model.pod import Json
from interlink.model.status import Running

MIRROR = "kubernetes.io/config.mirror"
YOUNG_SECONDS = 60.0  # so long an accepted pod may be missing in a listing that is on its way


class Knowledge(Enum):
    """What the absence of a job says."""

    COMPLETE = "complete"  # the backend tells of all pods: what it does not name is not there
    PARTIAL = "partial"  # it was asked about this pod and does not name it: it never ran, or was forgotten
    AWAY = "away"  # nothing


class Action(Enum):
    """What has to happen next; all of them are idempotent."""

    NOTHING = "nothing"
    WAIT = "wait"  # for the backend; look again later
    SUBMIT = "submit"  # resolve env and volumes, and create the job
    PUBLISH = "publish"  # write the status that the job amounts to
    LOST = "lost"  # it ran and is positively unknown: Failed, reason NotFound
    STOP = "stop"  # ask the backend to delete the job, and come back
    FINISH = "finish"  # terminal status if it is missing, then remove the API object
    DISCARD = "discard"  # remove an API object that no kubelet would run


@dataclass(frozen=True)
class Situation:
    """One pod, from all sides. `pod` is None when the API has none of this UID on our node.

    `sent`: a create of ours may have reached the backend; `accepted_age`: how long ago it has said yes, in
    seconds. `asked`: the backend has acknowledged a delete as it is wished now.
    """

    pod: Json | None
    job: PodRecord | None
    knowledge: Knowledge
    sent: bool = False
    accepted_age: float | None = None
    asked: bool = False


def decide(seen: Situation) -> Action:
    """Return what to do."""
    if seen.pod is None:
        return _without_pod(seen)
    if MIRROR in (seen.pod["metadata"].get("annotations") or {}):
        return Action.DISCARD  # there are no static pods here that it could mirror
    if is_terminating(seen.pod):
        return _terminating(seen)
    if is_terminal(seen.pod):
        # Its job stays for its logs; what others have declared over must not run on.
        alive = seen.job is not None and is_alive(seen.job)
        return Action.STOP if alive and not seen.asked else Action.NOTHING
    if seen.job is not None:
        return Action.PUBLISH
    return _unknown(seen, seen.pod)


def is_terminating(pod: Json) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_terminal(pod: Json) -> bool:
    return phase_of(pod) in ("Failed", "Succeeded")


def phase_of(pod: Json) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_alive(job: PodRecord) -> bool:
    """Say whether anything of the job may still run, or be started again."""
    if job.gone:
        return False
    return not job.status.terminal or any(isinstance(c.state, Running) for c in job.status.containers)


def has_run(pod: Json) -> bool:
    """Say whether the API's status shows that a container of the pod was ever started."""
    status = pod.get("status") or {}
    listed = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return phase_of(pod) == "Running" or any(
        container.get("containerID") or container.get("restartCount") or {"running", "terminated"} & _state(container)
        for container in listed
    )


def _state(container: Json) -> set[str]:
    return set(container.get("state") or {})


def _without_pod(seen: Situation) -> Action:
    if seen.job is None:
        return Action.STOP if seen.sent and not seen.asked else Action.NOTHING
    return Action.NOTHING if seen.job.gone or seen.asked else Action.STOP


def _terminating(seen: Situation) -> Action:
    if seen.job is not None and not is_alive(seen.job):
        return Action.FINISH
    if not seen.asked:
        return Action.STOP  # also where no job is known: a create of ours, or of a predecessor, may be on its way
    if seen.job is None and seen.knowledge is not Knowledge.AWAY:
        return Action.FINISH
    return Action.WAIT


def _unknown(seen: Situation, pod: Json) -> Action:
    if seen.knowledge is Knowledge.AWAY:
        return Action.WAIT
    ran = has_run(pod) or seen.accepted_age is not None
    if not ran:
        return Action.SUBMIT
    if seen.knowledge is Knowledge.PARTIAL or (seen.accepted_age is not None and seen.accepted_age < YOUNG_SECONDS):
        return Action.WAIT
    return Action.LOST
