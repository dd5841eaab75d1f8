"""A pod of one short command, from its create to its log and its end, by the very driver that will run pods there."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta, timezone

from interlink.errors import CommandFailed, OutcomeUnknown, Unavailable
from interlink.model.driver import HostDriver, LogQuery
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import PodStatus, Terminated, Waiting

SERVER_ID = "deploy"  # whose pods these are: no server of ours takes them for its own
_WORD = "interlink smoke"
_LOOK_SECONDS = 0.3
_STALE = timedelta(minutes=10)  # a smoke pod that old was left by a run that was cut off
_DELETE_SECONDS = 120.0


def pod(image: str) -> PodRequest:
    """Return the pod, under a UID of its own."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "smoke", "namespace": "interlink-deploy", "uid": str(uuid.uuid4())},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "smoke", "image": image, "command": ["sh", "-c", f"echo {_WORD}"]}],
        },
    }
    return PodRequest(Pod(manifest))


def run(driver: HostDriver, image: str, patience: float) -> str:
    """Run the pod to its end and remove it; return what is to be said of it.

    CommandFailed says how it went wrong. A pod that still waits after `patience` seconds is no failure where the
    driver queues (Slurm); it is removed all the same.
    """
    driver.prepare()
    _sweep(driver)
    request = pod(image)
    ref = PodRef.of(request.pod)
    begun = time.monotonic()
    try:
        driver.create(request)
        status = _ended(driver, ref, patience)
        return _judged(driver, ref, status, time.monotonic() - begun)
    finally:
        _removed(driver, ref)


def _ended(driver: HostDriver, ref: PodRef, patience: float) -> PodStatus | None:
    """Wait for the pod's end, or for what can never become one."""
    until = time.monotonic() + patience
    while True:
        status = next(iter(driver.status([ref])), None)
        if status is not None and (status.terminal or _hopeless(status)):
            return status
        if time.monotonic() > until:
            return status
        time.sleep(_LOOK_SECONDS)


def _hopeless(status: PodStatus) -> bool:
    reasons = [c.state.reason for c in status.containers if isinstance(c.state, Waiting)]
    return any(reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName") for reason in reasons)


def _judged(driver: HostDriver, ref: PodRef, status: PodStatus | None, seconds: float) -> str:
    said = _said(status)
    if status is None or not status.terminal:
        if driver.kind == "slurm" and status is not None and not _hopeless(status):
            return f"accepted, and still in the queue after {seconds:.0f} s{f': {said}' if said else ''}"
        raise CommandFailed(f"the smoke pod did not end within {seconds:.0f} s{f': {said}' if said else ''}")
    log = b"".join(driver.logs(LogQuery(ref, "smoke"))).decode("utf-8", "replace").strip()
    if status.phase.value != "Succeeded" or _WORD not in log:
        raise CommandFailed(f"the smoke pod ended {status.phase.value}: {said or 'without a word'}; its log: {log!r}")
    return f"ran, with its log, in {seconds:.1f} s"


def _said(status: PodStatus | None) -> str:
    """Return the reasons and messages that the status holds."""
    if status is None:
        return "the host knows nothing of it"
    pairs = [(status.reason, status.message)]
    for state in (container.state for container in status.containers):
        if isinstance(state, Waiting) or (isinstance(state, Terminated) and state.exit_code):
            pairs.append((state.reason, state.message))
    return "; ".join(dict.fromkeys(": ".join(filter(None, pair)) for pair in pairs if any(pair)))


def _removed(driver: HostDriver, ref: PodRef) -> None:
    """Delete the pod and see it confirmed."""
    until = time.monotonic() + _DELETE_SECONDS
    while True:
        try:
            driver.delete(ref, 1)
        except (Unavailable, OutcomeUnknown):  # it stops by itself; the repetition confirms it
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _sweep(driver: HostDriver) -> None:
    """Remove what runs that were cut off have left; a fresh one may be another admin's."""
    listing = driver.listing()
    for status in listing.pods.values():
        started = status.started_at or datetime.min.replace(tzinfo=timezone.utc)
        if listing.taken_at - started > _STALE and status.terminal:
            _removed(driver, PodRef(status.uid, status.namespace, status.name))
