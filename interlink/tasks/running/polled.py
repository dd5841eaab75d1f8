"""A run on a server that has only the contract of every interLink: the run's own pods, asked for again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from interlink.bundle import env
from interlink.bundle.text import HostValue, literal
from interlink.client import ContractClient
from interlink.errors import NotFound, Unsupported
from interlink.model.driver import Change, ChangeFeed, Created, HostRecord, LogQuery, LogStream, PodRecord
from interlink.model.pod import Container, Pod, PodRef, PodRequest
from interlink.model.status import PodStatus

POLL_SECONDS = 1.0
_LOCAL = "127.0.0.1"  # a pod's addresses, which such a server does not fill in (decisions.md 12)
_ADDRESSES = {HostValue.POD_IP: _LOCAL, HostValue.HOST_IP: _LOCAL}


class Polled:
    """What a Session needs of a server, over the contract; `name` is the server's, for progress lines.

    A delete is over once the server has accepted it: nobody tells of its end.
    """

    def __init__(self, client: ContractClient, name: str) -> None:
        self._client, self._name = client, name
        self._lock = threading.Lock()
        self._requests: dict[str, PodRequest] = {}
        self._jids: dict[str, str] = {}
        self._deleted: set[str] = set()

    def accept(self, request: PodRequest) -> Created:
        sent = resolved(request)
        with self._lock:
            self._requests[request.pod.uid] = sent
        created = self._client.create(sent)
        with self._lock:
            self._jids[request.pod.uid] = created.jid
        return created

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        self._client.delete(pod, grace)
        with self._lock:
            self._deleted.add(pod.uid)
        return None

    def logs(self, query: LogQuery) -> LogStream:
        return self._client.logs(query)

    def hosts(self) -> list[HostRecord]:
        return []

    def pod(self, uid: str) -> PodRecord:
        found = next((record for record in self._records() if record.uid == uid), None)
        if found is None:
            raise NotFound(f"the server knows no pod {uid}")
        return found

    def watch(self, since: int | None = None) -> ChangeFeed:
        return _Polls(self)

    def _records(self) -> list[PodRecord]:
        with self._lock:
            requests, deleted, jids = dict(self._requests), set(self._deleted), dict(self._jids)
        found = self._client.status([PodRef.of(request.pod) for request in requests.values()])
        return [
            PodRecord(
                status.uid,
                requests[status.uid].pod.namespace,
                requests[status.uid].pod.name,
                node="",
                host=self._name,
                target="deleted" if status.uid in deleted else "run",
                status=replace(status, jid=status.jid or jids.get(status.uid, "")),
                restart_policy=requests[status.uid].pod.restart_policy,
                gone=status.uid in deleted,
            )
            for status in found
        ]


class _Polls:
    """What has changed since the last look, as changes."""

    def __init__(self, polled: Polled) -> None:
        self._polled, self._closed = polled, threading.Event()

    def __iter__(self) -> Iterator[Change]:
        seen: dict[str, PodRecord] = {}
        while not self._closed.is_set():
            for record in self._polled._records():
                if seen.get(record.uid) != record:
                    seen[record.uid] = record
                    yield Change(0, "pod", record)
            self._closed.wait(POLL_SECONDS)

    def close(self) -> None:
        self._closed.set()


def resolved(request: PodRequest) -> PodRequest:
    """Return the request with the values of its variables, as a virtual kubelet sends it.

    Unsupported for volumes whose files a kubelet would have to make.
    """
    for index, volume in enumerate(request.pod.volumes):
        for kind in ("projected", "downwardAPI"):
            if volume.get(kind) is not None:
                message = "needs a server with /v1; this one leaves such files to a virtual kubelet"
                raise Unsupported(message, field=f"spec.volumes[{index}].{kind}")
    spec: dict[str, Any] = dict(request.pod.spec)
    values = {container.name: _values(request, container) for container in request.pod.containers}
    for key in ("initContainers", "containers"):
        if spec.get(key):
            spec[key] = [_with(raw, values[str(raw["name"])]) for raw in spec[key]]
    return replace(request, pod=Pod({**request.pod.raw, "spec": spec}), resolved=True)


def _values(request: PodRequest, container: Container) -> list[dict[str, str]]:
    found = env.environment(request, container)
    return [{"name": variable.name, "value": literal(variable.value, _ADDRESSES)} for variable in found]


def _with(raw: dict[str, Any], values: list[dict[str, str]]) -> dict[str, Any]:
    return {**{key: value for key, value in raw.items() if key not in ("env", "envFrom")}, "env": values}
