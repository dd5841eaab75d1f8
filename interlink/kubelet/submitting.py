"""Handing a pod over to the backend, and what to say when that cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from interlink.errors import InterlinkError, InvalidPod
from interlink.kubelet import podstatus
from interlink.kubelet.backend import Backend
from interlink.kubelet.events import Event, Recorder
from interlink.kubelet.kube import Kube
from interlink.kubelet.podcase import MISSING_SECONDS, Case
from interlink.kubelet.podstatus import Here
from interlink.kubelet.podwriter import PodWriter
from interlink.kubelet.references import Resolved, Resolver, Site, Unresolved
from interlink.kubelet.tokens import Tokens
from interlink.model.pod import Json
from interlink.model.wire.problems import AlreadyDeleted

UNSUPPORTED = "PodFeatureUnsupported"
KEEP_AWAY = "its DaemonSet stays away by a node affinity for virtual-node.interlink/type DoesNotExist"


@dataclass(frozen=True)
class Place:
    """Where pods are: the node's name and address, what requests from there say, and the namespace ("" for all)."""

    node: str
    address: str
    site: Callable[[], Site]
    namespace: str = ""

    def here(self) -> Here:
        return Here(datetime.now(timezone.utc), self.address)


@dataclass(frozen=True)
class Tools:
    """What pods are run with; nodes of one kubelet share all but the recorder."""

    kube: Kube
    backend: Backend
    resolver: Resolver
    tokens: Tokens
    recorder: Recorder


class Submitter:
    """Submits pods. Each call is one try; what it returns is the number of seconds until the next look.

    `submitted` hears of each pod that the backend has accepted, and of what it was made.
    """

    def __init__(
        self, place: Place, tools: Tools, writer: PodWriter, submitted: Callable[[str, Resolved], None]
    ) -> None:
        self._place, self._tools, self._writer = place, tools, writer
        self._submitted = submitted

    async def submit(self, case: Case, still_wanted: Callable[[], bool]) -> float | None:
        """Resolve what the pod refers to, and create it; `still_wanted` is asked in between."""
        if case.is_overdue:
            await self._deadline(case)
            return None
        try:
            resolved = await self._tools.resolver.request(case.existing, self._place.site())
            if not still_wanted():
                return 0.0
            await self._create(case, resolved)
            return 0.0
        except Unresolved as error:
            return await self._hold(case, error)
        except InvalidPod as error:
            await self._refuse(case, error)
        except AlreadyDeleted:
            await self._was_deleted(case)
        return None

    async def _create(self, case: Case, resolved: Resolved) -> None:
        entry = case.entry
        entry.sent = True
        try:
            await self._tools.backend.create(resolved.request)
        except InvalidPod:
            entry.sent = False
            raise
        except AlreadyDeleted:
            raise
        except InterlinkError as error:
            self._tell(case.tell("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}"))
            held = podstatus.held(case.existing, podstatus.Held(), self._place.here())
            await self._writer.status(case.existing, held)
            raise
        entry.accepted_at = time.monotonic()
        self._submitted(case.uid, resolved)

    async def _was_deleted(self, case: Case) -> None:
        """Its UID was deleted on the server: nothing of this pod will ever run again."""
        job, reason = await self._tools.backend.look_up(case.uid), "NotFound"
        status = podstatus.final(case.existing, job, self._place.here(), reason="" if job else reason)
        await self._writer.status(case.existing, status)

    async def _hold(self, case: Case, error: Unresolved) -> float:
        """Say what is missing, and look again."""
        for told in error.told:
            self._tell(case.tell(told.reason, told.message, told.container))
        await self._writer.status(case.existing, podstatus.held(case.existing, error.held, self._place.here()))
        wait = case.entry.missing_wait
        case.entry.missing_wait = min(1.5 * wait, MISSING_SECONDS[1])
        return wait

    async def _refuse(self, case: Case, error: InvalidPod) -> None:
        """The pod asks for what cannot be done here, and never will.

        A DaemonSet's is not failed, but waits: its controller would replace a failed one for ever.
        """
        if _of_daemon_set(case.existing):
            message = f"{error}; {KEEP_AWAY}"
            self._tell(case.tell(UNSUPPORTED, message))
            held = podstatus.Held({"": (UNSUPPORTED, message)})
            await self._writer.status(case.existing, podstatus.held(case.existing, held, self._place.here()))
            return
        self._tell(case.tell(UNSUPPORTED, str(error)))
        status = podstatus.refused(case.existing, UNSUPPORTED, str(error), self._place.here())
        await self._writer.status(case.existing, status)

    async def _deadline(self, case: Case) -> None:
        """Its time was over before it could be started."""
        reason, message = "DeadlineExceeded", podstatus.DEADLINE
        status = podstatus.final(case.existing, None, self._place.here(), reason=reason, message=message)
        await self._writer.status(case.existing, status)

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._tools.recorder.record(event)


def _of_daemon_set(pod: Json) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return any(owner["kind"] == "DaemonSet" and owner.get("controller") for owner in owners)
