"""The bundles of one server id on one host: calls of our functions there, logs, files, what their answers mean."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from threading import Lock

from interlink import errors
from interlink.bundle import tar
from interlink.bundle.files import layout
from interlink.drivers.supervised import scripts
from interlink.drivers.supervised.logstream import SupervisedLog, arguments
from interlink.model.driver import HostFacts, LogQuery, LogStream, Ping, Volumes
from interlink.model.host import Host
from interlink.model.pod import PodRef
from interlink.remote.connection import Connection, Result

_BATCH = 1000  # pods in one observation: their names travel in the script
# How tar and the shell say it; GNU tar has words of its own for a file that was cut short.
_DISK_FULL = ("No space left on device", "quota exceeded", "Wrote only")


class Bundles:
    """What every driver of supervised pods does on its host in the same way. Thread-safe."""

    def __init__(self, host: Host, connection: Connection, place: scripts.Place) -> None:
        self.host, self.connection, self.place = host, connection, place
        self._prepared = False
        self._lock = Lock()

    def prepare(self) -> None:
        """Make the directory with our scripts; cheap if it is there."""
        script = self.place.call("il_prepare")
        result = self.connection.run(script)
        if result.code == scripts.UNPREPARED:
            self.judge(self.connection.run(self.place.install(), stdin=self.place.archive))
            result = self.connection.run(script)
        self.judge(result)
        self._prepared = True

    def ready(self) -> None:
        """Make the directory unless that was done before."""
        with self._lock:
            if not self._prepared:
                self.prepare()

    def call(
        self,
        verb: str,
        *words: str,
        uses: tuple[str, ...] = (),
        before: str = "",
        stdin: bytes = b"",
        timeout: float = 60.0,
    ) -> Result:
        """Run one of our functions; make its directory first if the host has not got it."""
        script = self.place.call(verb, *words, uses=uses, before=before)
        result = self.connection.run(script, stdin=stdin, timeout=timeout)
        if result.code == scripts.UNPREPARED:
            self.prepare()
            result = self.connection.run(script, stdin=stdin, timeout=timeout)
        self.judge(result)
        return result

    def judge(self, result: Result) -> None:
        """Raise what an exit code of our scripts means."""
        name = self.host.name
        if result.truncated:
            raise errors.OutcomeUnknown(f"{name}: the answer is longer than what is read of it")
        if result.code in (scripts.UNPREPARED, scripts.NOT_WRITTEN):
            raise errors.EngineUnavailable(f"{name}: {result.error_text}")
        if result.code:
            text = result.error_text or "our script failed"
            raise errors.CommandFailed(f"{name}: {text}", code=result.code, stderr=text)

    def failure(self, message: str) -> errors.LaunchFailed:
        """Return the error for a launch of which the host says why it did not happen."""
        full = any(sign in message for sign in _DISK_FULL)
        return errors.LaunchFailed("OutOfDisk" if full else "LaunchFailed", f"{self.host.name}: {message}")

    def keeping(self) -> tuple[str, str]:
        """Return how many bytes of a deleted pod's logs are kept, and for how many minutes, as words of a script."""
        minutes = -(-int(self.host.get("interlink_keep_seconds")) // 60)
        return str(int(self.host.get("interlink_keep_log_bytes"))), str(minutes)

    def logs(self, query: LogQuery) -> LogStream:
        """Open a container's log, live or kept."""
        scripts.checked(query.pod.uid, "pod's uid")
        self.ready()
        script = self.place.call("il_log", *arguments(query), uses=("logs.sh",))
        return SupervisedLog(self.connection.stream(script), query)

    def update(self, pod: PodRef, volumes: Volumes) -> None:
        """Swap the files of volumes under a live pod, each by one rename."""
        uid = scripts.checked(pod.uid, "pod's uid")
        stamp = f"..{time.time_ns()}"
        names = [scripts.checked(name, "volume's name") for name in volumes]
        entries = [entry for name in names for entry in tar.under(name, layout(volumes[name], stamp))]
        answer = self.call("il_update", uid, stamp, *names, stdin=tar.pack(entries)).text.strip()
        if answer != "ok":
            raise errors.NotFound(f"{self.host.name}: pod {pod.name or uid} has no live volume {answer[5:]!r}")

    def offer(self, found: HostFacts) -> Ping:
        """Return what the host offers, by its facts and by what the inventory says instead."""
        offered: Mapping[str, object] = {
            "cpu": None if found.cpus is None else f"{found.cpus:g}",
            "memory": found.memory,
            **found.gpus,
            "pods": self.host.get("interlink_pods"),
            **(self.host.get("interlink_capacity") or {}),
        }
        return Ping(resources={name: str(amount) for name, amount in offered.items() if amount is not None})


def batches(uids: Iterable[str]) -> list[list[str]]:
    """Return those that can be UIDs of ours, in portions for one script each."""
    known = [uid for uid in uids if scripts.is_name(uid)]
    return [known[start : start + _BATCH] for start in range(0, len(known), _BATCH)]
