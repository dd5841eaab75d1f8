"""The docker driver: pods of one host by docker or podman, over one connection, nothing installed there.

A create is one remote script with the bundle on its stdin; a listing is one; a feed is one channel.
Restarts, init containers, deadlines go on without us (supervisor.sh on the host). A delete that outlasts
its patience goes on by itself there and raises Unavailable until it is repeated after the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Lock

from interlink import errors
from interlink.bundle import parcel, tar
from interlink.drivers.compiled import Compiled
from interlink.drivers.docker import feed, inspect, layout, logs, scripts
from interlink.drivers.docker import usage as used
from interlink.drivers.docker.status import pod_status
from interlink.model.driver import Created, HostFacts, Listing, LogQuery, LogStream, Ping, Volumes
from interlink.model.host import Host
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.model.usage import HostUsage
from interlink.remote import facts, usage
from interlink.remote.connection import Connection, Result

_PATIENCE = 3  # seconds that a delete waits on the host before it says "still stopping"
_BATCH = 500  # pods in one observation: their names travel in the script


class DockerDriver:
    """Runs pods on one host; satisfies `model.driver.HostDriver`. Thread-safe; nothing happens on construction."""

    def __init__(self, host: Host, connection: Connection, server_id: str) -> None:
        self._host, self._connection = host, connection
        self._place = scripts.Place(host.root, server_id, str(host.get("interlink_engine") or "docker"))
        self._prepared = False
        self._compiled: Compiled[tuple[tar.Entry, ...]] = Compiled()
        self._lock = Lock()
        self._offset = -1  # how much of the host's feed file our listings have shown

    @property
    def kind(self) -> str:
        return self._place.engine

    def check(self, request: PodRequest) -> None:
        """Refuse what this driver can never run; no I/O."""
        scripts.checked(request.pod.uid, "pod's uid")
        self._compiled.put(request, self._bundle(request))

    def create(self, request: PodRequest) -> Created:
        """Launch the pod, or find it launched already."""
        uid = scripts.checked(request.pod.uid, "pod's uid")
        packed = parcel.pack(self._compiled.take(request) or self._bundle(request))
        uses = ("step", "create")
        result = self._call("il_create", uid, uses=uses, stdin=packed.archive, timeout=180, before=packed.text)
        word, met, jid = [*_last_line(result.text).split(), "", "", ""][:3]
        if word != "pod" or met not in ("new", "existing", "deleted"):
            raise errors.OutcomeUnknown(f"{self._host.name}: no clear answer to the create of {uid}")
        return Created(uid, jid, met)  # type: ignore[arg-type]

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        """Stop and remove the pod; Unavailable while it still stops (repeat), then its final status."""
        uid = scripts.checked(pod.uid, "pod's uid")
        seconds = layout.grace(pod) if grace is None else grace
        keep_bytes = int(self._host.get("interlink_keep_log_bytes") or 10 << 20)
        keep_minutes = max(int(self._host.get("interlink_keep_seconds") or 3600) // 60, 1)
        arguments = [uid, str(max(seconds, 0)), str(keep_bytes), str(keep_minutes), str(_PATIENCE)]
        result = self._call("il_delete", *arguments, uses=("show", "delete"), timeout=90)
        verdict, _, shown = result.text.partition("\n")
        if verdict == "pod stopping":
            raise errors.Unavailable(f"{self._host.name}: pod {pod.name or uid} is being stopped")
        if verdict == "pod gone":
            return self._statuses(inspect.parse(shown)).get(uid)
        return None

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        """Observe now; the server asks its watch instead."""
        if pods is None:
            return list(self.listing().pods.values())
        found = self._observe([pod.uid for pod in pods], kept=False).pods
        return [found[pod.uid] for pod in pods if pod.uid in found]

    def logs(self, query: LogQuery) -> LogStream:
        """Open a container's log, live or kept."""
        container = query.container or self._only_container(query)
        uid = scripts.checked(query.pod.uid, "pod's uid")
        scripts.checked(container, "container's name")
        place = self._ready()
        script = place.call("il_logs", uid, *logs.arguments(query, container)[1:], uses=("logs",))
        return logs.Log(self._connection.stream(script), container, query).opened()

    def ping(self) -> Ping:
        """Answer what the host offers; Unavailable if its engine does not work."""
        self.prepare()
        found = self.facts()
        offered = {
            "cpu": None if found.cpus is None else f"{found.cpus:g}",
            "memory": None if found.memory is None else str(found.memory),
            "pods": self._host.get("interlink_pods"),
        }
        capacity = {**offered, **(self._host.get("interlink_capacity") or {})}
        return Ping(resources={name: str(amount) for name, amount in capacity.items() if amount is not None})

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        """Swap the files of volumes under a live pod, each by one rename."""
        uid = scripts.checked(pod.uid, "pod's uid")
        stamp, archive = layout.update(volumes)
        result = self._call("il_update", uid, stamp, *volumes, uses=("update",), stdin=archive)
        verdict = _last_line(result.text)
        if verdict != "ok":
            what = f"volume {verdict[8:]!r} of pod" if verdict.startswith("missing ") else "pod"
            raise errors.NotFound(f"{self._host.name}: no such {what} {pod.name or uid}")

    def prepare(self) -> None:
        """Make the directory, install our scripts, see whether the engine answers."""
        with self._lock:
            self._prepare()

    def listing(self) -> Listing:
        """Observe all pods of this server id."""
        shown = self._show()
        return Listing(shown.taken_at, self._statuses(shown), tuple(shown.events))

    def observe(self, uids: Collection[str]) -> Listing:
        """Observe these pods; of deleted ones the final status."""
        return self._observe(list(uids), kept=True)

    @contextmanager
    def changes(self) -> Iterator[Iterator[frozenset[str]]]:
        """Follow the host: the engine's events and our feed file on one channel."""
        script = self._ready().call("il_feed", uses=("feed",))
        with feed.following(self._connection.stream(script)) as changes:
            yield changes

    def facts(self) -> HostFacts:
        """Gather what the host is and has."""
        return facts.gather(self._host, self._connection)

    def stats(self) -> HostUsage:
        """Read what the host and the running containers have used."""
        return used.parse(self._call("il_stats", uses=("stats",), before=usage.script()).text)

    def _bundle(self, request: PodRequest) -> tuple[tar.Entry, ...]:
        return layout.bundle(request, self._host, layout.site(self._host, self._place.server, self._place.engine))

    def _observe(self, uids: list[str], *, kept: bool) -> Listing:
        pods: dict[str, PodStatus] = {}
        shown = None
        for start in range(0, len(uids), _BATCH):
            batch = [scripts.checked(uid, "pod's uid") for uid in uids[start : start + _BATCH]]
            shown = self._show(*batch)
            pods.update(
                {k: v for k, v in self._statuses(shown).items() if k in batch and (kept or not shown.pods[k].kept)}
            )
        if shown is None:
            return Listing(self.listing().taken_at, {})
        return Listing(shown.taken_at, pods, tuple(shown.events))

    def _show(self, *uids: str) -> inspect.Shown:
        with self._lock:
            offset = self._offset
        result = self._call("il_show", str(offset), *uids, uses=("show",))
        shown = inspect.parse(result.text)
        with self._lock:
            self._offset = max(self._offset, shown.offset) if shown.offset >= offset else shown.offset
        return shown

    def _statuses(self, shown: inspect.Shown) -> dict[str, PodStatus]:
        found = {}
        for uid, pod in shown.pods.items():
            if pod.skeleton and (pod.here or pod.kept):
                found[uid] = pod_status(pod, self._place.engine, shown.host_ip, shown.taken_at)
        return found

    def _only_container(self, query: LogQuery) -> str:
        found = self._observe([query.pod.uid], kept=True).pods.get(query.pod.uid)
        if found is None:
            raise errors.NotFound(f"no pod {query.pod.name or query.pod.uid} on {self._host.name}")
        if len(found.mains) != 1:
            raise errors.InvalidPod(f"a container name must be given, one of {[c.name for c in found.containers]}")
        return found.mains[0].name

    def _ready(self) -> scripts.Place:
        with self._lock:
            if not self._prepared:
                self._prepare()
        return self._place

    def _prepare(self) -> None:
        self._judge(self._connection.run(self._place.prepare(), stdin=scripts.archive()))
        self._prepared = True

    def _call(
        self, *call: str, uses: tuple[str, ...], stdin: bytes = b"", timeout: float = 60, before: str = ""
    ) -> Result:
        """Run one of our functions, after `before`; prepare the host first if it has forgotten us."""
        script = before + self._ready().call(*call, uses=uses)
        result = self._connection.run(script, stdin=stdin, timeout=timeout)
        if result.code == scripts.UNPREPARED:
            self.prepare()
            result = self._connection.run(script, stdin=stdin, timeout=timeout)
        self._judge(result)
        return result

    def _judge(self, result: Result) -> None:
        """Raise what an exit code of our scripts means."""
        if result.code == 0:
            return
        text, name = result.error_text, self._host.name
        if result.code == scripts.NO_ENGINE:
            raise errors.EngineUnavailable(f"{name}: {_cure(text, self._place.engine, self._host.get('ansible_user'))}")
        if "No space left on device" in text or "Disk quota exceeded" in text:
            raise errors.LaunchFailed("OutOfDisk", f"{name}: {_last_line(text)}", code=result.code)
        raise errors.CommandFailed(f"{name}: {text or 'our script failed'}", code=result.code, stderr=text)


def _last_line(text: str) -> str:
    return text.rstrip("\n").rpartition("\n")[2]


def _cure(text: str, engine: str, user: object) -> str:
    """Say what the user can do about an engine that does not serve us."""
    if engine == "docker" and "permission denied" in text.lower():
        return f"{text} (let the account use it, for example: sudo usermod -aG docker {user or 'USER'})"
    if "not found" in text:
        return f"{engine} is not installed ({text})"
    return text or "the container engine does not answer"
