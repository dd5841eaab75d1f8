"""A driver made of drivers: it records what is asked, finds a host, delegates, and answers from memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from interlink.dispatcher import states, views
from interlink.dispatcher.book import Book, observed_on_host, unfinished
from interlink.dispatcher.changes import Changes, Feed, Type
from interlink.dispatcher.choose import Chooser
from interlink.dispatcher.claims import Claims
from interlink.dispatcher.housekeeping import Housekeeper
from interlink.dispatcher.lanes import Lanes
from interlink.dispatcher.observe import Observations
from interlink.dispatcher.reconcile import Reconciler
from interlink.dispatcher.settings import Settings
from interlink.dispatcher.stations import MakeDriver, Stations
from interlink.dispatcher.usage import Usage
from interlink.dispatcher.waiting import Stripes, Waiters
from interlink.errors import Conflict, InvalidPod, NotFound, Unavailable, Unplaced
from interlink.ledger import Leases, Ledger, Payloads, PodRow
from interlink.model.driver import (
    Created,
    HostRecord,
    Listing,
    LogQuery,
    LogStream,
    NodeRecord,
    Ping,
    PodRecord,
    Volumes,
)
from interlink.model.host import Host
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import Kind, PodStatus
from interlink.model.usage import NodeUsage

log = logging.getLogger(__name__)


class Dispatcher:
    """A Composition over the hosts of an inventory. Call `start` after any fork, and `close` at the end."""

    def __init__(
        self,
        hosts: Mapping[str, Host],
        *,
        ledger: Ledger,
        payloads: Payloads,
        leases: Leases,
        make_driver: MakeDriver,
        settings: Settings | None = None,
    ) -> None:
        self._ledger, self._payloads, self._clock = ledger, payloads, time.time
        self._settings = settings or Settings()
        self._book, self._changes = Book(), Changes()
        self._waiters = Waiters()
        self._accepting = Stripes()
        self._nodes: dict[str, NodeRecord] = {}
        self._claims = Claims(leases, self._settings.scope)
        self._stations = Stations(self._claims, self, make_driver=make_driver, intervals=self._settings.intervals)
        self._chooser = Chooser(self._book, self._stations, strict=self._settings.strict)
        self._reconciler = Reconciler(
            self._book,
            ledger,
            payloads,
            self._stations,
            chooser=self._chooser,
            changed=self._changed,
            settings=self._settings,
        )
        self._lanes = Lanes(self._reconciler.step, self._lane_of, width=self._settings.per_host)
        self._observations = Observations(
            self._book,
            self._changes,
            changed=self._changed,
            wake=self._lanes.wake,
            enter=self._enter,
            stations=self._stations,
        )
        self._housekeeper = Housekeeper(
            self,
            ledger,
            payloads,
            book=self._book,
            stations=self._stations,
            settings=self._settings,
        )
        self._usage = Usage(self._stations, self._book)
        self._stations.replace(hosts, self._busy)

    # Life

    def start(self) -> None:
        """Load the ledger, take the hosts' leases, and resume whatever is unfinished."""
        self._housekeeper.load()
        self._housekeeper.tick()
        self._housekeeper.start()

    def close(self) -> None:
        """Stop driving. Pods run on; what is unfinished is resumed by whoever starts next."""
        self._housekeeper.stop()
        self._stations.close()
        self._lanes.close()
        self._usage.close()
        self._housekeeper.flush()

    def reload(self, hosts: Mapping[str, Host]) -> None:
        """Take over a changed inventory; hosts that have left it are driven until their pods are gone."""
        self._stations.replace(hosts, self._busy)
        self._housekeeper.tick()
        self.publish_nodes()

    # Driver

    def create(self, request: PodRequest) -> Created:
        """Accept the pod durably, and wait a moment for its launch (decisions.md 5)."""
        return self.accept(request, self._settings.launch_wait)

    def accept(self, request: PodRequest, wait: float = 0.0) -> Created:
        _check_identity(request)
        uid = request.pod.uid
        with self._accepting.of(uid):
            known = self._known(request)
            if known is None:
                known = self._accept(request)
        if known == "deleted":
            return Created(uid, uid, "deleted")
        row = self._waiters.wait(uid, self._settled, wait)
        jid = row.jid if row is not None and row.jid else uid
        return Created(uid, jid, "existing" if known == "existing" else "new")

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        """Record that the pod shall go, and return at once; an unknown one is remembered as deleted."""
        now = self._clock()
        with self._accepting.of(pod.uid):
            if not self._ledger.delete(pod.uid, grace=grace, now=now):
                self._book.bury([pod.uid])
                return None
            if self._book.get(pod.uid) is None:
                self._housekeeper.refresh(pod.uid)
            row = self._book.change(pod.uid, lambda r: r.to_delete(grace, now))
        if row is not None:
            self._changed(row)
        self._lanes.wake(pod.uid)
        return None

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        if pods is None:
            return [record.status for record in self.pods()]
        rows = [self._book.get(pod.uid) for pod in pods]
        return [self._record(row).status for row in rows if row is not None and row.confirmed_at is None]

    def logs(self, query: LogQuery) -> LogStream:
        row = self._row(query.pod.uid)
        if row.host is None or not (row.launched_at or observed_on_host(row)):
            said = row.status.message if row.status else ""
            raise NotFound(f"pod {row.namespace}/{row.name} has not started yet{said and ': ' + said}")
        pod = PodRef(row.uid, row.namespace, row.name, query.pod.raw)
        return self._stations.driver(row.host).logs(replace(query, pod=pod, container=_container(row, query)))

    def ping(self) -> Ping:
        """Answer what all hosts together offer; never waits for a host.

        An inventory without taints says nothing of them: an empty list would clear those of a kubelet's own file.
        """
        resources, taints = views.offer(self._stations.all())
        return Ping("ok", resources, taints or None)

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        row = self._row(pod.uid)
        if row.target == "deleted" or row.final:
            raise Conflict(f"pod {row.namespace}/{row.name} has ended")
        if row.host is None or row.launched_at is None:
            raise Unavailable(f"pod {row.namespace}/{row.name} is not launched yet")
        self._stations.driver(row.host).update(PodRef(row.uid, row.namespace, row.name, pod.raw), volumes)

    # Composition

    def pods(self, node: str | None = None) -> list[PodRecord]:
        rows = self._book.rows()
        return [self._record(r) for r in rows if r.confirmed_at is None and node in (None, r.node)]

    def pod(self, uid: str) -> PodRecord:
        return self._record(self._row(uid))

    def nodes(self) -> list[NodeRecord]:
        return views.node_records(self._stations.all(), _now())

    def hosts(self) -> list[HostRecord]:
        return [views.host_record(s, self._book.load(s.host.name)) for s in self._stations.all()]

    def stats(self, node: str) -> NodeUsage:
        return self._usage.of(node)

    def watch(self, since: int | None = None) -> Feed:
        return self._changes.follow(since, self._picture)

    def ready(self) -> Mapping[str, Any]:
        return self._housekeeper.ready()

    # Observer of the stations

    def expected(self, host: str) -> Collection[str]:
        return self._observations.expected(host)

    def observed(self, host: str, listing: Listing, *, complete: bool) -> None:
        self._observations.observed(host, listing, complete=complete)

    def vanished(self, host: str, uids: Collection[str]) -> None:
        self._observations.vanished(host, uids)

    def station_changed(self, host: str) -> None:
        self.publish_nodes()
        self.resume(host)

    # For the housekeeper

    def resume(self, host: str) -> None:
        """Go on with everything unfinished of this host, and with what waits for any host."""
        for row in [*self._book.on(host), *self._unplaced()]:
            if unfinished(row):
                self._lanes.wake(row.uid)

    def resume_unplaced(self) -> None:
        for row in self._unplaced():
            self._lanes.wake(row.uid)

    def adopt(self, rows: Collection[PodRow]) -> None:
        """Take over what another process has recorded."""
        driven = {s.host.name for s in self._stations.all() if s.driving}
        for theirs in rows:
            row = self._book.merge(theirs, driven)
            self._changed(row)
            if unfinished(row):
                self._lanes.wake(row.uid)

    def publish_nodes(self) -> None:
        for node in self.nodes():
            if self._nodes.get(node.name) != node:
                self._nodes[node.name] = node
                self._changes.publish("node", node)

    # Inside

    def _accept(self, request: PodRequest) -> str:
        uid, host, why = request.pod.uid, None, ""
        try:
            host = self._chooser.choose(request)
        except Unplaced as error:
            why = str(error)
        node = request.pod.node_name or (self._chooser.node_of(host) if host else "")
        row = PodRow.accepted(request.pod, node=node, host=host, now=self._clock(), origin=request.origin)
        try:
            self._claims.pod(uid)
            self._payloads.put(request)
            accepted = self._ledger.accept(row)
        except BaseException:
            self._housekeeper.suspect()
            self._book.discharge(uid)
            raise
        if not accepted:  # another process was faster, or an answer of ours was lost
            self._book.discharge(uid)
            return self._housekeeper.refresh(uid)
        row = replace(row, status=states.waiting(row, *(("Unschedulable", why) if why else ())))
        if host:
            self._reconciler.placed_now(uid)
        self._book.put(row)
        self._changed(row)
        self._lanes.wake(uid)
        return "new"

    def _enter(self, host: str, status: PodStatus) -> bool:
        """Record a pod that a host has of ours and the ledger does not; false where that is not for us to say.

        One of several `run`s has not read the others' pods yet.
        """
        if self._settings.scope != "host" or not status.name:
            return False
        with self._accepting.of(status.uid):
            if self._book.get(status.uid) is not None:
                return True
            row = PodRow.found(status, node=self._chooser.node_of(host), host=host, now=self._clock())
            try:
                entered = self._ledger.accept(row)
            except Unavailable:
                return False  # the next listing shows it again
            if not entered:
                self._housekeeper.refresh(status.uid)
                return True
            self._book.put(row)
        log.warning("host %s runs pod %s, which the ledger had lost; it is entered again", host, status.uid)
        self._observations.observed(host, Listing(_now(), {status.uid: status}), complete=False)
        return True

    def _known(self, request: PodRequest) -> str | None:
        """Return what is known of the UID: "existing", "deleted", or None."""
        if self._book.buried(request.pod.uid):
            return "deleted"
        row = self._book.get(request.pod.uid)
        if row is None:
            return None
        if (row.namespace, row.name) != (request.pod.namespace, request.pod.name):
            raise Conflict(f"UID {row.uid} is that of pod {row.namespace}/{row.name}")
        return "existing" if row.target == "run" else "deleted"

    def _row(self, uid: str) -> PodRow:
        row = self._book.get(uid)
        if row is None:
            raise NotFound(f"no pod with UID {uid}")
        return row

    def _record(self, row: PodRow) -> PodRecord:
        station = self._stations.get(row.host) if row.host else None
        stale = row.host is not None and (station is None or station.stale(_now()))
        return states.record(row, stale=stale)

    def _changed(self, row: PodRow) -> None:
        self._changes.publish("pod", self._record(row))
        self._waiters.look(row.uid)
        if row.final or row.confirmed_at is not None:
            self._housekeeper.room_was_made()

    def _settled(self, uid: str) -> PodRow | None:
        row = self._book.get(uid)
        waits = row is not None and row.launched_at is None and not row.final and row.target == "run"
        return None if waits else row

    def _unplaced(self) -> list[PodRow]:
        return [r for r in self._book.rows() if r.host is None and unfinished(r)]

    def _busy(self, host: str) -> bool:
        return bool(self._book.on(host))

    def _lane_of(self, uid: str) -> str:
        row = self._book.get(uid)
        return "-" if row is None else f"{row.host or '-'}/{row.target}"

    def _picture(self) -> list[tuple[Type, Any]]:
        return [*(("node", n) for n in self.nodes()), *(("pod", p) for p in self.pods())]


def _container(row: PodRow, query: LogQuery) -> str:
    """Return the container that is meant; NotFound if there is none of that name, or more than one without."""
    names = [c.name for c in row.containers]
    mains = [c.name for c in row.containers if c.kind is Kind.MAIN]
    name = query.container or (mains[0] if len(mains) == 1 else "")
    if name not in names:
        asked = f"no container {name!r}" if name else "more than one container; name one"
        raise NotFound(f"pod {row.namespace}/{row.name} has {asked} of {', '.join(names)}")
    return name


def _check_identity(request: PodRequest) -> None:
    pod = request.pod
    for field, value in (("metadata.uid", pod.uid), ("metadata.name", pod.name)):
        if not value:
            raise InvalidPod("is missing", field=field)
    if not pod.spec.get("containers"):
        raise InvalidPod("is empty", field="spec.containers")


def _now() -> datetime:
    return datetime.now(timezone.utc)
