"""The pods of one node: whatever the API wants and whatever the backend reports are brought together, by UID."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from interlink.kubelet import events, paths, podstatus
from interlink.kubelet.backend import Listener
from interlink.kubelet.decide import Action, Situation, decide, is_alive, is_terminal, is_terminating, phase_of
from interlink.kubelet.podcase import ESCALATE_SECONDS, Case, Entry
from interlink.kubelet.podstatus import Here
from interlink.kubelet.podwriter import PodWriter
from interlink.kubelet.references import Resolved, Site
from interlink.kubelet.reflector import Reflector, Store
from interlink.kubelet.refresh import Refresher
from interlink.kubelet.samecluster import SameCluster
from interlink.kubelet.submitting import Place, Submitter, Tools
from interlink.kubelet.workqueue import WorkQueue
from interlink.model.driver import PodEvent, PodRecord
from interlink.model.pod import Json, Pod

NOT_FOUND = "The pod is not known to its host any more"
SETTLE_SECONDS = 1.0  # so long a new pod may show how it starts before its first status is written
WAIT_SECONDS = 10.0
ENDED_SECONDS = 3.0  # so long the end of an attempt is shown before the wait for the next

Report = Callable[[Json, PodRecord, Here], Mapping[str, Any] | None]
Step = Callable[[Case], Awaitable[float | None]]


class Pods(Listener):
    """Runs the pods of a node. `run` works until cancelled; `recovered` is set once nothing old is open.

    Every step is idempotent and decided anew from the API's object and the backend's record.
    """

    def __init__(self, place: Place, tools: Tools) -> None:
        self.recovered = asyncio.Event()
        self._place, self._tools, self._backend = place, tools, tools.backend
        self._entries: dict[str, Entry] = {}
        self._queue: WorkQueue[str] = WorkQueue(self._reconcile)
        self._reflector = Reflector(
            tools.kube,
            paths.pods(place.namespace),
            self._changed,
            on_return=self._queue.hurry,
            fieldSelector=f"spec.nodeName={place.node}",
        )
        self._refresher = Refresher(tools.backend, tools.resolver, tools.tokens, self._running)
        self._writer, self._cluster = PodWriter(tools.kube, tools.recorder), SameCluster(tools.kube)
        self._submitter = Submitter(place, tools, self._writer, self._submitted)
        self._contact = asyncio.Event()
        self._steps: Mapping[Action, Step] = {
            Action.NOTHING: self._nothing,
            Action.WAIT: self._wait,
            Action.SUBMIT: self._submit,
            Action.PUBLISH: self._publish,
            Action.LOST: self._lost,
            Action.STOP: self._stop,
            Action.FINISH: self._finish,
            Action.DISCARD: self._discard,
        }
        tools.backend.listen(self)

    @property
    def store(self) -> Store:
        """The API's pods of this node."""
        return self._reflector.store

    async def run(self) -> None:
        running = [asyncio.ensure_future(each) for each in (self._reflector.run(), self._work(), self._refresher.run())]
        try:
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def resume(self) -> None:
        """The API server takes writes again after it did not: nothing waits any longer for its turn."""
        self._reflector.doubt()
        self._queue.hurry()

    # Listener

    def job_changed(self, record: PodRecord) -> None:
        if record.uid in self.store or record.uid in self._entries or self._is_ours(record):
            self._queue.add(record.uid)

    def job_event(self, event: PodEvent) -> None:
        pod = self.store.get(event.uid) or self.store.gone(event.uid)
        if event.reason == "Pulled" and event.uid in self._entries:
            self._entries[event.uid].pulled.add(event.container)
        said = events.told(pod, event) if pod is not None else None
        if said is not None:
            self._tools.recorder.record(said)

    def contact_changed(self) -> None:
        if self._backend.contact.up:
            self._contact.set()
            self._queue.hurry()
            for pod in self.store:
                self._queue.add(pod["metadata"]["uid"])
            self._add_jobs()

    # Inside

    def _add_jobs(self) -> None:
        for record in self._backend.jobs():
            self.job_changed(record)

    def _is_ours(self, record: PodRecord) -> bool:
        """Say whether a job is one of this cluster's and node's, sent by us or a predecessor."""
        origin = self._place.site().origin
        return bool(origin) and record.origin == origin and record.node == self._place.node

    def _changed(self, uid: str) -> None:
        pod, entry = self.store.get(uid), self._entries.get(uid)
        if pod is not None and entry is not None:
            shown = (pod["metadata"].get("labels"), pod["metadata"].get("annotations"))
            if entry.shown not in (None, shown):
                self._refresher.look(uid)
            entry.shown = shown
        self._queue.add(uid)

    async def _work(self) -> None:
        """Reconcile, once the pods are known and the backend has answered."""
        await self._reflector.synced.wait()
        if self._backend.contact.up:
            self._contact.set()
        await self._contact.wait()
        self._add_jobs()
        working = asyncio.ensure_future(self._queue.run())
        try:
            await self._queue.idle()
            self.recovered.set()
            await working
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def _running(self, uid: str) -> tuple[Json, Site] | None:
        """Return a pod whose volumes are worth refreshing."""
        pod, job = self.store.get(uid), self._backend.job(uid)
        if pod is None or job is None or is_terminating(pod) or is_terminal(pod) or not is_alive(job):
            return None
        return pod, self._place.site()

    def _submitted(self, uid: str, resolved: Resolved) -> None:
        self._refresher.submitted(uid, resolved.volumes)

    async def _reconcile(self, uid: str) -> float | None:
        entry = self._entries.setdefault(uid, Entry())
        known = self.store.get(uid)
        pod = None if known is None else self._writer.newest(known)
        if pod is not None and self._backend.job(uid) is None and not is_terminal(pod) and self._backend.contact.up:
            await self._backend.learn(Pod(pod))
        case = Case(uid, pod, self._backend.job(uid), entry, pod or self.store.gone(uid))
        return await self._steps[decide(self._situation(case))](case)

    def _situation(self, case: Case) -> Situation:
        entry = case.entry
        return Situation(
            case.pod,
            case.job,
            self._backend.knowledge(case.uid),
            sent=entry.sent,
            accepted_age=entry.accepted_age,
            asked=entry.asked_grace is not None and entry.asked_grace <= case.grace,
        )

    async def _nothing(self, case: Case) -> float | None:
        if case.pod is not None:
            return None
        if case.job is not None and not case.job.gone:
            return WAIT_SECONDS  # its end is on its way
        self._entries.pop(case.uid, None)
        self._writer.forget(case.uid)
        self._tools.tokens.forget(case.uid)
        self._refresher.forget(case.uid)
        self._backend.forget(case.uid)
        self.store.forget(case.uid)
        return None

    async def _wait(self, case: Case) -> float | None:
        if case.pod is not None and is_terminating(case.pod):
            return max(1.0, case.seconds_left + ESCALATE_SECONDS)
        return WAIT_SECONDS

    async def _submit(self, case: Case) -> float | None:
        def still_wanted() -> bool:
            pod = self.store.get(case.uid)
            return pod is not None and not is_terminating(pod)

        return await self._submitter.submit(case, still_wanted)

    async def _publish(self, case: Case) -> float | None:
        assert case.job is not None
        pod, age = case.existing, case.entry.accepted_age
        starting = case.job.status.phase.value == "Pending" and phase_of(pod) == "Pending"
        if starting and age is not None and age < SETTLE_SECONDS:
            return SETTLE_SECONDS - age
        report: Report = podstatus.final if case.job.gone else podstatus.reported
        status = report(pod, case.job, self._place.here())
        if status is not None:
            await self._writer.status(pod, status, case.entry.pulled)
        if is_alive(case.job):
            self._refresher.follow(pod)
        return ENDED_SECONDS if podstatus.shows_just_ended(pod, case.job) else None

    async def _lost(self, case: Case) -> float | None:
        """The backend does not know a pod that ran. It is asked once more, by UID."""
        job = await self._backend.look_up(case.uid)
        if job is not None and not job.gone:
            return WAIT_SECONDS  # the picture is older than the pod
        reason, message = ("", "") if job is not None else ("NotFound", NOT_FOUND)
        status = podstatus.final(case.existing, job, self._place.here(), reason=reason, message=message)
        await self._writer.status(case.existing, status)
        return None

    async def _stop(self, case: Case) -> float | None:
        if case.pod is None and not await self._is_really_gone(case):
            return WAIT_SECONDS
        terminating = case.pod is not None and is_terminating(case.pod)
        left = min(case.grace, max(0, math.ceil(case.seconds_left))) if terminating else case.grace
        await self._backend.delete(case.ref, left)
        if case.entry.asked_grace is None and case.job is not None and case.last is not None:
            for event in events.killing(case.last, case.job):
                self._tools.recorder.record(event)
        case.entry.asked_grace = case.grace
        return 0.0 if case.job is None else WAIT_SECONDS

    async def _is_really_gone(self, case: Case) -> bool:
        """A list may lack what is there, or be another cluster's: nothing is stopped that nobody has deleted."""
        if case.last is not None and is_terminating(case.last):
            return True
        if not await self._cluster.is_still(self._place.site().origin):
            return False
        ref = case.ref
        return not (ref.name and await self._writer.exists(ref.namespace, ref.name, case.uid))

    async def _finish(self, case: Case) -> float | None:
        pod = case.existing
        if case.removal_wait:
            return case.removal_wait
        if not is_terminal(pod):
            job = case.job or await self._backend.look_up(case.uid)
            await self._writer.status(pod, podstatus.final(pod, job, self._place.here()))
        await self._writer.remove(pod)
        return None

    async def _discard(self, case: Case) -> float | None:
        await self._writer.remove(case.existing)
        return None
