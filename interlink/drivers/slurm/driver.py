"""The Slurm driver: each pod is a job whose batch step is the pod's supervisor.

A create is one remote script with the bundle, and pods that come at the same time travel together. Statuses come
from memory, which one command for all pods keeps current. Nothing of a pod needs us once it is submitted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from interlink import errors
from interlink.bundle import job, parcel, slurmflags, slurmimages, slurmjob, tar
from interlink.bundle.site import Site
from interlink.bundle.slurmsite import SlurmSite
from interlink.drivers.compiled import Compiled
from interlink.drivers.slurm import capacity, rejections
from interlink.drivers.slurm import usage as used
from interlink.drivers.slurm.memory import Memory
from interlink.drivers.slurm.poller import Poller
from interlink.drivers.supervised import records, scripts
from interlink.drivers.supervised.batching import Batching
from interlink.drivers.supervised.bundles import Bundles, batches
from interlink.drivers.supervised.events import Events
from interlink.model.driver import Created, HostFacts, Listing, LogQuery, LogStream, Ping, Volumes
from interlink.model.host import Host
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.model.usage import HostUsage
from interlink.remote import facts, shell
from interlink.remote.connection import Connection

_PATIENCE = 2.0  # seconds that a delete waits on the host before it says "still stopping"
_POLL = 0.05  # seconds between its looks there
_SUBMIT_TIMEOUT = 150.0  # seconds; sbatch itself gives up a hundred seconds after its start
# A job's variables come from the login node's session, but for what could be a secret there.
_EXPORT = "HOME,PATH,USER,LOGNAME,SHELL,LANG"


@dataclass(frozen=True)
class _Submission:
    """A pod on its way; `expires` in seconds or "-", `words` are sbatch's."""

    uid: str
    expires: str
    entries: tuple[tar.Entry, ...] = field(repr=False)
    words: tuple[str, ...]


class SlurmDriver:
    """Runs pods as jobs of one cluster; satisfies `model.driver.HostDriver`. Thread-safe."""

    def __init__(self, host: Host, connection: Connection, server_id: str) -> None:
        self._host, self._connection, self._server_id = host, connection, server_id
        try:
            self._site, self._runtime = SlurmSite.of(host), Site.of(host)
        except ValueError as error:
            raise errors.ConfigError(f"host {host.name}: {error}") from error
        self._bundles = Bundles(host, connection, _place(host, f"{server_id}-slurm", self._site))
        self._compiled: Compiled[tuple[tuple[tar.Entry, ...], slurmflags.Options]] = Compiled()
        self._submissions = Batching(self._submit)
        self._events = Events()
        self._memory = Memory(timedelta(seconds=float(host.get("interlink_lost_seconds"))))
        self._poller = Poller(
            self._bundles,
            self._memory,
            idle=float(host.get("interlink_poll_seconds")),
            least=float(host.get("interlink_poll_min_seconds")),
        )

    @property
    def kind(self) -> str:
        return "slurm"

    def check(self, request: PodRequest) -> None:
        """Refuse what a job cannot honour; no I/O."""
        self._compiled.put(request, self._compile(request))

    def create(self, request: PodRequest) -> Created:
        """Submit the pod, or find it submitted already."""
        entries, options = self._compiled.take(request) or self._compile(request)
        pod = request.pod
        words = (
            "--parsable",
            "--no-requeue",
            f"--export={_EXPORT}",
            f"--job-name={pod.uid}",
            f"--comment=interlink:{self._server_id}",
            *slurmflags.arguments(options),
        )
        uid = scripts.checked(pod.uid, "pod's uid")
        expires = "-" if pod.deadline is None else str(pod.deadline)
        answer = self._submissions.ask(uid, _Submission(uid, expires, entries, words))
        word, _, rest = answer.partition(" ")
        match word:
            case "new" | "existing":
                self._memory.add(json.loads(job.facts(pod, self._runtime.runtime)), rest)
                self._poller.stir()
                self._poller.tell(pod.uid)
                return Created(pod.uid, rest, word)
            case "deleted":
                return Created(pod.uid, pod.uid, word)
            case "failed":
                raise self._bundles.failure(rest)
            case "refused" | "later" | "unclear":
                raise rejections.error_of(word, rest, self._host.name)
        raise errors.OutcomeUnknown(f"{self._host.name}: no clear answer to the create of {pod.uid}: {answer!r}")

    def _submit(self, orders: Sequence[_Submission]) -> list[str]:
        """Submit pods in one round trip; return what is said of each."""
        shelf = self._bundles.place.shelf
        packed = parcel.pack(entry for order in orders for entry in tar.under(order.uid, shelf.spare(order.entries)))
        staged = shell.join(["il_stage", *(word for order in orders for word in (order.uid, order.expires))])
        creates = "".join(f"{shell.join(['il_create', order.uid, *order.words])} &\n" for order in orders)
        said = self._bundles.call(
            "wait", before=f"{packed.text}{staged}\n{creates}", stdin=packed.archive, timeout=_SUBMIT_TIMEOUT
        ).text
        if said.startswith("failed "):  # the disk is full, perhaps, and has room for some of them
            return [said.strip()] if len(orders) == 1 else [self._submit([order])[0] for order in orders]
        lines = (line.split(" ", 2) for line in said.splitlines())
        answers = {line[1]: line[2].strip() for line in lines if line[0] == "pod" and len(line) == 3}
        return [answers.get(order.uid, "") for order in orders]

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None:
        """Stop and remove the pod; Unavailable while it still stops (repeat), then its final status."""
        uid = scripts.checked(pod.uid, "pod's uid")
        seconds = "-" if grace is None else str(max(grace, 0))
        tries = str(round(_PATIENCE / _POLL))
        result = self._bundles.call("il_delete", uid, seconds, tries, *self._bundles.keeping(), timeout=150)
        verdict, _, rest = result.text.partition("\n")
        word, _, said = verdict.partition(" ")
        self._poller.stir()
        if word == "stopping":
            raise errors.Unavailable(f"{self._host.name}: pod {pod.name or uid} is still stopping")
        if word == "away":
            raise errors.EngineUnavailable(f"{self._host.name}: {said.strip() or 'Slurm does not answer'}")
        if word != "gone":
            raise errors.OutcomeUnknown(f"{self._host.name}: no clear answer to the delete of {uid}: {verdict!r}")
        final = records.read(rest).pods.get(uid)
        self._memory.remove(uid, final)
        self._poller.tell(uid)
        return final

    def status(self, pods: Collection[PodRef] | None = None) -> list[PodStatus]:
        """Return what was observed last, anew if that is allowed by now."""
        self._poller.refresh()
        live = self._memory.live()
        return list(live.values()) if pods is None else [live[pod.uid] for pod in pods if pod.uid in live]

    def logs(self, query: LogQuery) -> LogStream:
        """Open a container's log, live or kept."""
        return self._bundles.logs(query)

    def ping(self) -> Ping:
        """Answer what the cluster offers; Unavailable if it cannot be used."""
        self._bundles.prepare()
        return self._bundles.offer(self.facts())

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        """Swap the files of volumes under a live pod, each by one rename."""
        self._bundles.update(pod, volumes)

    def prepare(self) -> None:
        """Make the directory; cheap if it is there."""
        self._bundles.prepare()

    def listing(self) -> Listing:
        """Observe all pods of this server id anew."""
        self._poller.full()
        return self._listing(self._memory.live())

    def observe(self, uids: Collection[str]) -> Listing:
        """Tell what was observed of these pods; of deleted ones the final status."""
        self._poller.refresh()
        live = self._memory.live()
        known = {uid: status for uid in uids if (status := live.get(uid) or self._memory.final(uid)) is not None}
        for batch in batches(uid for uid in uids if uid not in known):
            reading = records.read(self._bundles.call("il_show", *batch).text)
            known |= reading.pods
        return self._listing(known)

    def _listing(self, pods: Mapping[str, PodStatus]) -> Listing:
        fresh = self._events.fresh(self._memory.records(pods))
        return Listing(self._memory.time, pods, fresh, trouble=self._memory.trouble)

    def changes(self) -> AbstractContextManager[Iterator[frozenset[str]]]:
        """Follow the cluster by asking it, as often as the inventory allows."""
        self._bundles.ready()
        return self._poller.feed()

    def facts(self) -> HostFacts:
        """Gather what the cluster is and has."""
        return capacity.of(facts.gather(self._host, self._connection), str(self._host.get("interlink_partition")))

    def stats(self) -> HostUsage:
        """Read what running jobs have used, where the cluster gathers that; a login node sees no other machine."""
        pods = used.running(self._memory.live().values())
        found: dict[str, used.Step] = {}
        for batch in batches(pods):
            words = (used.FORMAT, ",".join(batch))
            found |= used.steps(self._bundles.call("il_stats", *words, uses=("stats.sh",)).text)
        return HostUsage(datetime.now(timezone.utc), pods=used.of_pods(found, pods))

    def _compile(self, request: PodRequest) -> tuple[tuple[tar.Entry, ...], slurmflags.Options]:
        batch = slurmjob.compile_job(request, self._site, f"../../{self._bundles.place.shelf.directory}")
        site = slurmimages.site_of(request.pod, self._runtime, self._site)
        bundle = job.compile_pod(request, site)
        return (*bundle, *batch.files), batch.options


def _place(host: Host, server_id: str, site: SlurmSite) -> scripts.Place:
    """Return our place on a login node, with the names of Slurm's programs."""
    settings = {
        **{f"il_{name}": getattr(site.programs, name) for name in site.programs.__dataclass_fields__},
        "il_unsent": "\n".join(rejections.UNSENT),
        "il_unclear": "\n".join(rejections.UNCLEAR),
    }
    own = {name: scripts.source(__package__, name) for name in ("host.sh", "stats.sh")}
    return scripts.Place(host.root, server_id, own, settings)
