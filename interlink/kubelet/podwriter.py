"""What the kubelet writes about pods into the API: statuses, removals and their events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from interlink.kubelet import decide, events, paths, statuspatch
from interlink.kubelet.events import Recorder
from interlink.kubelet.kube import ApiError, Kube
from interlink.model.pod import Json


@dataclass
class _Written:
    """Our last patch of a pod: what we wanted, and the object that the API made of it."""

    wanted: Mapping[str, Any]
    result: Json


class PodWriter:
    """Writes by UID: a pod that is gone, or another of the same name, is left alone."""

    def __init__(self, kube: Kube, recorder: Recorder) -> None:
        self._kube, self._recorder = kube, recorder
        self._written: dict[str, _Written] = {}
        self._removed: set[str] = set()

    def newest(self, pod: Json) -> Json:
        """Return the pod as we know it best: the watch may lag behind our own last patch."""
        written = self._written.get(pod["metadata"]["uid"])
        if written is None or _version(written.result) <= _version(pod):
            return pod
        return written.result

    def forget(self, uid: str) -> None:
        self._written.pop(uid, None)
        self._removed.discard(uid)

    async def status(self, pod: Json, status: Mapping[str, Any], pulled: Collection[str] = ()) -> None:
        """Make the pod's status so, and tell what has started; nothing is sent for what is there already.

        A terminal phase is never left: the API server would let us. `pulled`: see `events.started`.
        """
        pod = self.newest(pod)
        if decide.is_terminal(pod) and status["phase"] != decide.phase_of(pod):
            return
        uid = pod["metadata"]["uid"]
        patch = statuspatch.patch(pod, status)
        before = self._written.get(uid)
        if patch is None or (before and before.wanted == status and _version(before.result) >= _version(pod)):
            return  # the second: what the API server made of this very wish
        news = [*events.started(pod, status, pulled), *events.turned(pod, status)]
        metadata = pod["metadata"]
        try:
            result = await self._kube.patch(paths.pod_status(metadata["namespace"], metadata["name"]), patch)
        except ApiError as error:
            if not _is_over(error):
                raise
            return
        result["metadata"].pop("managedFields", None)
        self._written[uid] = _Written(status, result)
        for event in news:
            self._recorder.record(event)

    async def remove(self, pod: Json) -> None:
        """Remove the object for good, once; finalizers of others may hold it on."""
        metadata = pod["metadata"]
        if metadata["uid"] in self._removed:
            return
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        try:
            await self._kube.delete(paths.pod(metadata["namespace"], metadata["name"]), body)
        except ApiError as error:
            if error.conflict:
                return  # another pod of this name
            if not error.missing:
                raise
        self._removed.add(metadata["uid"])

    async def exists(self, namespace: str, name: str, uid: str) -> bool:
        """Ask the API server itself whether there is this very pod."""
        try:
            found = await self._kube.get(paths.pod(namespace, name))
        except ApiError as error:
            if error.missing:
                return False
            raise
        return bool(found["metadata"]["uid"] == uid)


def _version(pod: Json) -> int:
    text = str(pod["metadata"].get("resourceVersion") or "0")
    return int(text) if text.isdigit() else 0


def _is_over(error: ApiError) -> bool:
    """Say whether an answer means that this pod is not there any more: none of its name, or another UID."""
    return error.missing or (error.status == 422 and "metadata.uid" in error.message)
