"""The shell driver: each pod is a supervisor in a session of its own, launched over one connection.

A create is one remote script with the bundle on its stdin; a listing of all pods is one; a feed is one
channel. Sequence, restarts, deadlines and stops go on without us. A delete that outlasts `_PATIENCE`
goes on by itself on the host, and raises Unavailable until it is repeated after the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from interlink import errors
from interlink.bundle import job, parcel, tar
from interlink.bundle.site import Site
from interlink.drivers.compiled import Compiled
from interlink.drivers.shell import usage as used
from interlink.drivers.supervised import records, scripts
from interlink.drivers.supervised.bundles import Bundles, batches
from interlink.drivers.supervised.events import Events
from interlink.model.driver import Created, HostFacts, Listing, LogQuery, LogStream, Ping, Volumes
from interlink.model.host import Host
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.model.usage import HostUsage
from interlink.remote import facts, usage
from interlink.remote.connection import Connection

_PATIENCE = 2.0  # seconds that a delete waits on the host before it says "still stopping"
_POLL = 0.05  # seconds between its looks there


class ShellDriver:
    """Runs pods as processes of one host; satisfies `model.driver.HostDriver`. Thread-safe."""

    def __init__(self, host: Host, connection: Connection, server_id: str) -> None:
        self._host, self._connection = host, connection
        own = {name: scripts.source(__package__, name) for name in ("host.sh", "stats.sh")}
        place = scripts.Place(host.root, server_id, {**own, "usage.sh": usage.script()})
        self._bundles = Bundles(host, connection, place)
        self._site = Site.of(host)
        self._compiled: Compiled[tuple[tar.Entry, ...]] = Compiled()
        self._events = Events()

    @property
    def kind(self) -> str:
        """`shell` where containers are plain processes; else with the runtime that runs their images."""
        runtime = self._site.runtime
        return "shell" if runtime == "process" else f"shell, {runtime}"

    def check(self, request: PodRequest) -> None:
        """Refuse what the host's runtime cannot honour; no I/O."""
        self._compiled.put(request, job.compile_pod(request, self._site))

    def create(self, request: PodRequest) -> Created:
        """Launch the pod, or find it launched already."""
        bundle = self._compiled.take(request) or job.compile_pod(request, self._site)
        packed = parcel.pack(self._bundles.place.shelf.spare(bundle))
        uid = request.pod.uid
        answer = self._bundles.call("il_create", uid, before=packed.text, stdin=packed.archive).text.strip()
        word, _, message = answer.partition(" ")
        match word:
            case "new" | "existing" | "deleted":
                return Created(uid, uid, word)
            case "failed":
                raise self._bundles.failure(message)
        raise errors.OutcomeUnknown(f"{self._host.name}: no clear answer to the create of {uid}: {answer!r}")

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        """Stop and remove the pod; Unavailable while it still stops (repeat), then its final status."""
        uid = scripts.checked(pod.uid, "pod's uid")
        seconds = "-" if grace is None else str(max(grace, 0))
        result = self._bundles.call("il_delete", uid, seconds, str(round(_PATIENCE / _POLL)), *self._bundles.keeping())
        verdict, _, rest = result.text.partition("\n")
        if verdict == "stopping":
            raise errors.Unavailable(f"{self._host.name}: pod {pod.name or uid} is still stopping")
        if verdict != "gone":
            raise errors.OutcomeUnknown(f"{self._host.name}: no clear answer to the delete of {uid}: {verdict!r}")
        return records.read(rest).pods.get(uid)

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        """Observe now; the server asks its watch instead."""
        if pods is None:
            return list(self.listing().pods.values())
        found: dict[str, PodStatus] = {}
        for reading in self._readings([pod.uid for pod in pods]):
            found |= {uid: status for uid, status in reading.pods.items() if uid not in reading.kept}
        return [found[pod.uid] for pod in pods if pod.uid in found]

    def logs(self, query: LogQuery) -> LogStream:
        """Open a container's log, live or kept."""
        return self._bundles.logs(query)

    def ping(self) -> Ping:
        """Answer what the host offers; Unavailable if it cannot be used."""
        self._bundles.prepare()
        return self._bundles.offer(self.facts())

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        """Swap the files of volumes under a live pod, each by one rename."""
        self._bundles.update(pod, volumes)

    def prepare(self) -> None:
        """Make the directory; cheap if it is there."""
        self._bundles.prepare()

    def listing(self) -> Listing:
        """Observe all pods of this server id."""
        reading = records.read(self._bundles.call("il_list").text)
        return Listing(reading.time, reading.pods, self._events.fresh(reading.records.values()))

    def observe(self, uids: Collection[str]) -> Listing:
        """Observe these pods; of deleted ones the final status."""
        readings = self._readings(list(uids))
        if not readings:
            return Listing(records.read("").time, {})
        pods = {uid: status for reading in readings for uid, status in reading.pods.items()}
        events = [event for reading in readings for event in self._events.fresh(reading.records.values())]
        return Listing(readings[-1].time, pods, tuple(events))

    @contextmanager
    def changes(self) -> Iterator[Iterator[frozenset[str]]]:
        """Follow the file to which every supervisor adds a line when its pod has changed."""
        self._bundles.ready()
        with closing(self._connection.stream(self._bundles.place.call("il_feed"))) as stream:
            lines = _lines(iter(stream))
            next(lines)  # the first sign of life: from here on nothing is missed
            yield lines

    def facts(self) -> HostFacts:
        """Gather what the host is and has."""
        return replace(facts.gather(self._host, self._connection), engine=self._site.runtime, engine_version="")

    def stats(self) -> HostUsage:
        """Read what the host and the processes of pods have used, whatever server's they are."""
        return used.parse(self._bundles.call("il_stats", uses=("usage.sh", "stats.sh")).text)

    def _readings(self, uids: list[str]) -> list[records.Reading]:
        return [records.read(self._bundles.call("il_list", *batch).text) for batch in batches(uids)]


def _lines(chunks: Iterator[bytes]) -> Iterator[frozenset[str]]:
    """Yield the UIDs of each piece of the feed; an empty piece is a sign of life."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if whole:
            yield frozenset(line.decode("ascii", "replace") for line in whole if line)
