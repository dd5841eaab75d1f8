"""The Driver protocol: the verbs that every driver, composition and client of interLink satisfies.

design.md decision 1: docker, shell, slurm, mock, rest, the dispatcher and the REST client all satisfy
`Driver`. A driver that runs pods on one host is a `HostDriver` as well: it can list all pods of that
host in one remote command and follow their changes; `watch` turns these two into a feed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.model.usage import HostUsage, NodeUsage


@dataclass(frozen=True)
class Created:
    """A create's answer; `jid` is the native id (container, job), or the UID while none is known.

    `outcome` tells a composition's caller what the create met: a `new` pod, an `existing` one of this
    UID, or one that is `deleted` already, so that nothing is launched (decisions.md 8).
    """

    uid: str
    jid: str
    outcome: Literal["new", "existing", "deleted"] = "new"


@dataclass(frozen=True)
class LogQuery:
    """Which log and which part of it; the names are Kubernetes' PodLogOptions.

    `tail` counts lines (0 = none of them, None = all), `limit_bytes` bytes from the start of what is
    selected, `since_seconds` is relative to the host's clock. An empty container name stands for the
    only container of the pod.
    """

    pod: PodRef
    container: str = ""
    tail: int | None = None
    limit_bytes: int | None = None
    since_seconds: int | None = None
    since_time: datetime | None = None
    timestamps: bool = False
    follow: bool = False
    previous: bool = False
    attempt: int | None = None  # this one, counted from 0, instead of the last or the previous; ours alone


class LogStream(Protocol):
    """Chunks of a log. `close` may be called from any thread, ends the iteration and frees everything."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Taint:
    """A node taint; effect is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True)
class Ping:
    """What a driver can offer as a whole: quantities as Kubernetes writes them, e.g. {"cpu": "64"}."""

    status: str = "ok"
    resources: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] | None = None


@dataclass(frozen=True)
class VolumeFile:
    """One file of a configMap, secret, projected or downwardAPI volume; `path` is relative to the mount."""

    path: str
    mode: int
    data: bytes = field(repr=False)


Volumes = Mapping[str, Sequence[VolumeFile]]


@dataclass(frozen=True)
class PodEvent:
    """What a driver saw of a container: pulled, created, started, killing, back-off, failed, ..."""

    uid: str
    reason: str
    message: str
    time: datetime
    type: Literal["Normal", "Warning"] = "Normal"
    container: str = ""


class Later(frozenset[str]):
    """UIDs whose changes may be gathered for a moment before they are looked at, because many come together."""


@dataclass(frozen=True)
class Listing:
    """All of our pods on one host at one moment, complete or `None` where a pod could not be read.

    A pod that is absent from `pods` is positively not there: the engine or scheduler answered.
    `events` is what the driver saw since its previous listing or observation, each event once. `trouble`
    says what is wrong with the engine or scheduler where that does not keep the driver from listing its pods.
    """

    taken_at: datetime
    pods: Mapping[str, PodStatus]
    events: tuple[PodEvent, ...] = ()
    trouble: str = ""


class Driver(Protocol):
    """Runs pods. Every call is idempotent by the pod's UID and raises only errors of `interlink.errors`."""

    def create(self, request: PodRequest) -> Created:
        """Launch the pod, or find it launched already; return once that is certain."""
        ...

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        """Stop the pod within `grace` seconds (None: the pod's own) and remove it; an unknown pod is a success.

        A host driver returns once nothing of the pod is left on the host, with the final status as the
        host saw it (also when repeated, while the host keeps it), or None where it knows none. It may
        raise Unavailable while the stop goes on by itself: the caller repeats until this returns.
        """
        ...

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        """Return the statuses of the known ones among `pods`, in that order; of all pods for None."""
        ...

    def logs(self, query: LogQuery) -> LogStream:
        """Open a container's log. NotFound for an unknown pod, container or previous attempt."""
        ...

    def ping(self) -> Ping:
        """Answer what the driver offers; Unavailable if nothing behind it can take pods."""
        ...

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        """Replace the files of the named volumes in a live pod, atomically per volume."""
        ...


class HostDriver(Driver, Protocol):
    """A driver for the pods of one host.

    A deleted pod is absent from `listing`; for `interlink_keep_seconds` `observe([uid])` goes on answering
    its final status and `logs` its kept logs. While a stop goes on, the pod is listed. A create of a UID
    that the host knows to be deleted launches nothing and says so: `Created.outcome == "deleted"`.
    """

    @property
    def kind(self) -> str:
        """What runs the pods, for people: docker, podman, shell, mock."""
        ...

    def check(self, request: PodRequest) -> None:
        """Refuse what this driver can never run, without any I/O: InvalidPod or Unsupported, naming the field.

        Called before the pod is accepted (the refusal becomes the create's 4xx), so it must judge by the
        request and the host's variables alone; `create` makes the same checks again.
        """
        ...

    def prepare(self) -> None:
        """Make the host ready: root directory, supervisor of our version; cheap if it is ready already."""
        ...

    def listing(self) -> Listing:
        """Observe all of our pods on the host, in one remote command."""
        ...

    def observe(self, uids: Collection[str]) -> Listing:
        """Observe these pods alone, in one remote command."""
        ...

    def changes(self) -> AbstractContextManager[Iterator[frozenset[str]]]:
        """Follow the host over one channel: sets of UIDs whose pods may have changed, `Later` if there is no hurry.

        An empty set is a sign of life (one comes at least every 15 seconds). The iterator ends, or
        raises OutcomeUnknown or Unavailable, when the channel is lost: take a `listing` and follow again.
        The caller must start following before it takes the listing, so that nothing falls between.
        The iterator may be read in another thread; leaving the context frees the channel and ends it.
        """
        ...

    def facts(self) -> HostFacts:
        """Gather what the host is and has, in one remote command."""
        ...

    def stats(self) -> HostUsage:
        """Read what the host and its running containers have used, in one remote command; unknown is left out."""
        ...


@dataclass(frozen=True)
class HostFacts:
    """What a host is and has; `None` is "not known". Memory and disk in bytes.

    `raw` holds everything else that was gathered (partitions, GPUs' models, certificate expiry), JSON-ready.
    """

    cpus: float | None = None
    memory: int | None = None
    arch: str = ""  # as Kubernetes spells it: amd64, arm64
    gpus: Mapping[str, int] = field(default_factory=dict)  # resource name -> count
    pods: int | None = None
    address: str = ""
    engine: str = ""
    engine_version: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PodRecord:
    """A pod as the dispatcher knows it: what was asked and what was observed (decisions.md 11).

    `gone` says that the host has confirmed the delete; the status is then the final one. `origin` is the
    create's (PodRequest).
    """

    uid: str
    namespace: str
    name: str
    node: str
    host: str
    target: Literal["run", "deleted"]
    status: PodStatus
    restart_policy: str = "Always"
    gone: bool = False
    origin: str = ""


@dataclass(frozen=True)
class NodeRecord:
    """A virtual node: one per inventory group that names one. Quantities as Kubernetes writes them."""

    name: str
    capacity: Mapping[str, str]
    allocatable: Mapping[str, str]
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    conditions: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class HostRecord:
    """A host as `/v1/hosts` shows it."""

    name: str
    groups: tuple[str, ...]
    driver: str
    reachable: bool
    reason: str
    facts: Mapping[str, Any]
    load: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One line of `/v1/watch`; `seq` rises by one from line to line, bookmarks repeat the last.

    The lines of a full picture carry 0 and are closed by a bookmark with the number to go on from.
    """

    seq: int
    type: Literal["pod", "node", "event", "bookmark"]
    object: Any


class ChangeFeed(Protocol):
    """Changes as they happen, a bookmark at least every 10 seconds.

    `object` of a change is a PodRecord, NodeRecord, PodEvent or, for a bookmark, None. `close` may be
    called from any thread, more than once; it ends the iteration within a second and frees everything.
    """

    def __iter__(self) -> Iterator[Change]: ...

    def close(self) -> None: ...


class Composition(Driver, Protocol):
    """A driver made of drivers: the dispatcher, or a client of its `/v1` endpoints."""

    def accept(self, request: PodRequest, wait: float = 0.0) -> Created:
        """Create, and answer once the pod is recorded durably and launched, or `wait` seconds later without that.

        What becomes of it is in `watch`. Raises what `create` raises.
        """
        ...

    def pods(self, node: str | None = None) -> list[PodRecord]:
        """Return all pods, or those of one node, without those that are gone."""
        ...

    def pod(self, uid: str) -> PodRecord:
        """Return one pod, for some time also one that is gone; NotFound if it is unknown."""
        ...

    def nodes(self) -> list[NodeRecord]: ...

    def hosts(self) -> list[HostRecord]: ...

    def stats(self, node: str) -> NodeUsage:
        """Return what a node's pods have used, figures at most some seconds old; NotFound without such a node."""
        ...

    def watch(self, since: int | None = None) -> ChangeFeed:
        """Follow changes after number `since` (None: a full picture first); NotFound if `since` is too old.

        Objects are PodRecord, NodeRecord, PodEvent; None in a bookmark, which comes after every ten
        seconds without another line. Leaving the context, from any thread, ends the iteration.
        """
        ...

    def ready(self) -> Mapping[str, Any]:
        """Say what works and what does not, part by part; key `ok` sums up."""
        ...
