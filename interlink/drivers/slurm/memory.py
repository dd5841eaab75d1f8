"""All pods of a cluster as they were last seen: what ticks bring, and what creates and deletes do meanwhile. No I/O."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from interlink.drivers.slurm import judgement
from interlink.drivers.slurm.judgement import Evidence, Verdict
from interlink.drivers.slurm.states import Job, Queue
from interlink.drivers.supervised import records
from interlink.drivers.supervised.records import Record
from interlink.model.status import PodStatus

_FINALS = 2000  # deleted pods whose end is remembered without asking the host


class Memory:
    """Thread-safe. `step` counts ticks: a pod that came during one need not be in its answer."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._records: dict[str, Record] = {}
        self._came: dict[str, int] = {}
        self._finals: dict[str, PodStatus] = {}
        self._statuses: dict[str, PodStatus] = {}
        self._queue = Queue()
        self._names: dict[str, Job] = {}
        self._ids: dict[str, Job] = {}
        self._history: dict[str, Job] = {}
        self._asked: dict[str, datetime] = {}
        self._silent: dict[str, datetime] = {}
        self._step = 0
        self._lock = threading.RLock()
        self.time = datetime.now(timezone.utc)

    @property
    def trouble(self) -> str:
        """What squeue says is wrong with the controller; empty while it answers."""
        return self._queue.error

    def begin(self) -> int:
        """Return the number of the tick that begins now."""
        with self._lock:
            self._step += 1
            return self._step

    def absorb(self, step: int, text: str, queue: Queue) -> frozenset[str]:
        """Take over a tick's answer; return the pods that look different now."""
        reading = records.read(text)
        present = {line[2:] for line in text.split("\n") if line.startswith("p\t")}
        with self._lock:
            self.time = reading.time
            self._queue = queue if not queue.error else replace(self._queue, error=queue.error)
            self._names = {job.name: job for job in self._queue.jobs}
            self._ids = {job.id: job for job in self._queue.jobs}
            for uid, record in reading.records.items():
                if uid in present:
                    self._records[uid] = record
            gone = {uid for uid in self._records if uid not in present and self._came.get(uid, 0) < step}
            for uid in gone:
                self._forget(uid)
            return self._judge() | gone

    def learn(self, found: Mapping[str, Job], asked: Collection[str]) -> frozenset[str]:
        """Take over what Slurm's history says about missing jobs; those it does not know are silent from now on."""
        with self._lock:
            self._history.update(found)
            for uid in asked:
                record = self._records.get(uid)
                if record is not None and record.job not in found:
                    self._silent.setdefault(uid, self.time)
            return self._judge()

    def missing(self) -> dict[str, str]:
        """Return by UID the jobs that the queue should show and does not, unless the history was asked lately."""
        with self._lock:
            if self._queue.error:
                return {}
            due = {}
            for uid, record in self._records.items():
                if self._job(uid, record) is None and judgement.is_missing(record, self.time):
                    last = self._asked.get(uid)
                    if last is None or self.time - last > self._patience / 10:
                        self._asked[uid] = self.time
                        due[uid] = record.job
            return due

    def verdicts(self) -> list[Verdict]:
        """Return the ends that are to be written down."""
        with self._lock:
            found = (
                judgement.verdict(record, self._evidence(uid, record), self.time, self._patience)
                for uid, record in self._records.items()
            )
            return [verdict for verdict in found if verdict is not None]

    def read(self, text: str) -> frozenset[str]:
        """Take over the records of some pods."""
        reading = records.read(text)
        with self._lock:
            for uid, record in reading.records.items():
                if not record.kept:
                    self._records[uid] = record
            return self._judge(self._records.keys() & reading.records.keys())

    def add(self, facts: Mapping[str, object], job: str) -> None:
        """Note a pod that was submitted just now, or found submitted."""
        uid = str(facts["uid"])
        with self._lock:
            self._came[uid] = self._step
            known = self._records.setdefault(uid, Record(facts))
            known.job = job or known.job
            self._judge([uid])

    def remove(self, uid: str, final: PodStatus | None) -> None:
        """Note that a pod was deleted, and how it ended."""
        with self._lock:
            self._forget(uid)
            if final is not None:
                self._finals[uid] = final
                while len(self._finals) > _FINALS:
                    del self._finals[next(iter(self._finals))]

    def live(self) -> dict[str, PodStatus]:
        """Return the pods that are there."""
        with self._lock:
            return dict(self._statuses)

    def records(self, uids: Collection[str]) -> list[Record]:
        """Return what was printed about these pods last."""
        with self._lock:
            return [self._records[uid] for uid in uids if uid in self._records]

    def final(self, uid: str) -> PodStatus | None:
        """Return how a deleted pod ended, if that is remembered."""
        with self._lock:
            return self._finals.get(uid)

    @property
    def settling(self) -> bool:
        """Whether some pod's end is near, or known but not written down."""
        with self._lock:
            return any(self._settles(uid, record) for uid, record in self._records.items())

    def _settles(self, uid: str, record: Record) -> bool:
        job = self._job(uid, record)
        return job is not None and not job.alive and not record.over and record.lost is None

    def _forget(self, uid: str) -> None:
        for table in (self._records, self._came, self._asked, self._silent, self._statuses):
            table.pop(uid, None)

    def _judge(self, uids: Collection[str] | None = None) -> frozenset[str]:
        """Work out the status of these pods anew, or of all; return those that look different."""
        changed = set()
        for uid in self._records if uids is None else uids:
            record = self._records[uid]
            status = judgement.status(record, self._evidence(uid, record), self.time)
            before = self._statuses.get(uid)
            if before is None or replace(before, observed_at=status.observed_at) != status:
                changed.add(uid)
            self._statuses[uid] = status
        return frozenset(changed)

    def _evidence(self, uid: str, record: Record) -> Evidence:
        job = self._job(uid, record)
        if job is not None:
            self._silent.pop(uid, None)
        return Evidence(job, bool(self._queue.error), self._silent.get(uid))

    def _job(self, uid: str, record: Record) -> Job | None:
        return self._ids.get(record.job) or self._names.get(uid) or self._history.get(record.job)
