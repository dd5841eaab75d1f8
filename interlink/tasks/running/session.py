"""One `interlink run`: create the pods, tell how they fare, print their logs, clean up, return a code."""

from __future__ import annotations

import queue
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Protocol

from interlink import errors
from interlink.model.driver import ChangeFeed, Created, HostRecord, LogQuery, LogStream, PodEvent, PodRecord
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import PodStatus
from interlink.tasks.running import outcome
from interlink.tasks.running.logs import ContainerLog, Write

_SETTLING = 3.0  # seconds: hosts are being contacted, nothing is to be said of that yet
_LOG_SECONDS = 120.0  # after a pod's end, for the rest of a log
Tell = Callable[[str], None]


class Runner(Protocol):
    """What a run needs: a part of a Composition."""

    def accept(self, request: PodRequest) -> Created: ...

    def delete(self, pod: PodRef, grace: int | None = None) -> PodStatus | None: ...

    def pod(self, uid: str) -> PodRecord: ...

    def hosts(self) -> list[HostRecord]: ...

    def logs(self, query: LogQuery) -> LogStream: ...

    def watch(self, since: int | None = None) -> ChangeFeed: ...


@dataclass(frozen=True)
class Options:
    """How a run behaves; `wait_start` in seconds."""

    detach: bool = False
    keep: bool = False
    wait_start: float = 120.0
    flags: Sequence[str] | None = ()
    """What our tasks need to find a detached pod again; None where they do not work."""


@dataclass
class Follower:
    """What the run knows of one of its pods."""

    request: PodRequest
    label: str  # in front of progress lines
    prefix: str  # in front of a container's name in the log
    record: PodRecord | None = None
    waiting_since: float = 0.0
    pulling: set[str] = field(default_factory=set)
    asked: bool = False  # its create may have reached whoever keeps the record
    deleting: bool = False
    told: set[str] = field(default_factory=set)
    logs: dict[str, ContainerLog] = field(default_factory=dict)

    @property
    def ref(self) -> PodRef:
        return PodRef.of(self.request.pod)

    @property
    def done(self) -> bool:
        return self.record is not None and self.record.status.terminal

    @property
    def launched(self) -> bool:
        return self.record is not None and (self.done or (bool(self.record.status.jid) and bool(self.record.host)))


class Session:
    """Runs pods to their end, on a dispatcher in this process or on any server."""

    def __init__(
        self, driver: Runner, requests: Sequence[PodRequest], options: Options, tell: Tell, write: Write
    ) -> None:
        self.driver, self.options, self.tell, self._output = driver, options, tell, write
        several = len(requests) > 1
        self.pods = {
            r.pod.uid: Follower(r, f"{r.pod.name}: " if several else "", f"{r.pod.name}/" if several else "")
            for r in requests
        }
        self._inbox: queue.Queue[PodRecord | PodEvent] = queue.Queue()
        self._stop = threading.Event()
        self._unread = threading.Event()
        self._feed: ChangeFeed | None = None
        self._drivers: dict[str, str] = {}

    def run(self) -> int:
        """Run all pods; return the first non-zero exit code in the order of the file, or 0.

        BrokenPipeError once nobody reads the logs (`| head`); the pods are deleted first, as at an interrupt.
        """
        watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        watcher.start()
        try:
            for pod in self.pods.values():
                self._create(pod)
            code = self._follow()
            self._leave()
        except KeyboardInterrupt:
            self.tell("interrupted")
            self._clean_up()
            return 130
        except (errors.InterlinkError, BrokenPipeError):
            self._clean_up()
            raise
        finally:
            self._stop.set()
            if self._feed:
                self._feed.close()
            watcher.join(5)
            for pod in self.pods.values():
                for log in pod.logs.values():
                    log.close()
        return code

    def _create(self, pod: Follower) -> None:
        """Create the pod. From the call on it may be there, answered or not, unless the answer says that it is not."""
        pod.waiting_since = time.monotonic()
        pod.asked = True
        try:
            self.driver.accept(pod.request)
        except errors.OutcomeUnknown:
            raise
        except errors.InterlinkError:
            pod.asked = False
            raise

    def _leave(self) -> None:
        """Remove the pods at the end, or say how to go on with them."""
        if not self.options.detach:
            self._clean_up()
            return
        for pod in self.pods.values():
            if self.options.flags is None:
                self.tell(f"{pod.label}goes on as {pod.ref.uid}; the server keeps it until its own users delete it")
                continue
            words = shlex.join([pod.ref.name, *self.options.flags])
            self.tell(f"{pod.label}goes on; log: interlink pods.logs {words}, remove: interlink pods.delete {words}")

    def _follow(self) -> int:
        while not all(p.launched if self.options.detach else p.done for p in self.pods.values()):
            with suppress(queue.Empty):
                self._take(self._inbox.get(timeout=0.5))
            self._see_reader()
            stuck = self._stuck()
            if stuck:
                return stuck
        for pod in self.pods.values():
            for log in pod.logs.values():
                if missing := log.finish(timeout=_LOG_SECONDS):
                    self.tell(f"{log.prefix}: its log is not complete: {missing}")
            self._see_reader()
            if pod.record and pod.done:
                self.tell(pod.label + outcome.ending(pod.record.status))
        if self.options.detach:
            return 0
        codes = [outcome.exit_code(p.record.status) for p in self.pods.values() if p.record]
        return next((c for c in codes if c), 0)

    def _write(self, prefix: str, line: bytes) -> None:
        """Pass a line on, from the thread of any log; once the reader is gone, only note that."""
        if not self._unread.is_set():
            try:
                self._output(prefix, line)
            except BrokenPipeError:
                self._unread.set()

    def _see_reader(self) -> None:
        if self._unread.is_set():
            self.tell("nobody reads the logs any more")
            raise BrokenPipeError

    def _take(self, news: PodRecord | PodEvent) -> None:
        pod = self.pods.get(news.uid)
        if pod is None:
            return
        if isinstance(news, PodEvent):
            self._event(pod, news)
            return
        for line in outcome.progress(pod.record, news, self._driver_of(news.host)):
            self._say(pod, line)
        if news.host and not (pod.record and pod.record.host):
            self._warn_of_process(pod, news.host)
        pod.record = news
        if self.options.detach:
            return
        for container in news.status.containers:
            if container.name not in pod.logs:
                prefix = pod.prefix + container.name
                pod.logs[container.name] = ContainerLog(self.driver, pod.ref, container.name, prefix, self._write)
            pod.logs[container.name].observe(container)

    def _event(self, pod: Follower, event: PodEvent) -> None:
        if event.reason == "Pulling":
            pod.pulling.add(event.container)
            self._say(pod, f"{event.message[:1].lower()}{event.message[1:]}")
        elif event.reason in ("Pulled", "Failed", "BackOff"):
            pod.pulling.discard(event.container)

    def _say(self, pod: Follower, line: str) -> None:
        """Tell a line once: an image that cannot be pulled alternates between two states for ever."""
        if line not in pod.told:
            pod.told.add(line)
            self.tell(pod.label + line)

    def _stuck(self) -> int:
        """Return 2 once a pod has waited too long for something that does not come by itself."""
        now = time.monotonic()
        for pod in self.pods.values():
            if pod.pulling or (pod.record and (outcome.started(pod.record.status) or pod.done)):
                pod.waiting_since = now
                continue
            if pod.record and not pod.record.host and now - pod.waiting_since > _SETTLING:
                self._say(pod, f"waiting: {outcome.complaint(pod.record) or 'for a host'}")
            if now - pod.waiting_since > self.options.wait_start:
                why = (
                    (outcome.complaint(pod.record) if pod.record else None) or self._unreachable() or "no host took it"
                )
                self.tell(f"{pod.label}not started after {self.options.wait_start:.0f} s: {why}")
                return 2
        return 0

    def _unreachable(self) -> str:
        away = [f"{h.name}: {h.reason}" for h in self.driver.hosts() if not h.reachable]
        return "; ".join(away)

    def _clean_up(self) -> None:
        """Delete the pods and see them gone, so that nothing of the run stays on the host."""
        pods = [pod for pod in self.pods.values() if pod.asked]
        if self.options.keep:
            for pod in pods:
                self.tell(f"{pod.label}kept; remove it with: interlink pods.delete {pod.ref.name}")
            return
        patience = max((p.request.pod.grace for p in pods), default=0) + 60
        end = time.monotonic() + patience
        while pods and time.monotonic() < end:
            pods = [pod for pod in pods if not self._deleted(pod)]
            if pods:
                time.sleep(0.05)
        for pod in pods:
            self.tell(f"{pod.label}not confirmed as deleted within {patience} s; the next `interlink` command goes on")

    def _deleted(self, pod: Follower) -> bool:
        """Ask for the delete until it is recorded, then see whether the host has confirmed it."""
        try:
            if not pod.deleting:
                self.driver.delete(pod.ref)
                pod.deleting = True
            return self.driver.pod(pod.ref.uid).gone
        except errors.NotFound:
            return True
        except (errors.Unavailable, errors.OutcomeUnknown):
            return False

    def _watch(self) -> None:
        """Put news of pods into the inbox; a lost watch is taken up again from a full picture."""
        while not self._stop.is_set():
            try:
                with closing(self.driver.watch(None)) as feed:
                    self._feed = feed
                    for change in feed:
                        if isinstance(change.object, PodRecord | PodEvent):
                            self._inbox.put(change.object)
                        if self._stop.is_set():
                            return
            except errors.InterlinkError:
                pass  # the server may be restarting: the next full picture says what was missed
            self._stop.wait(0.2)

    def _driver_of(self, host: str) -> str:
        if host and host not in self._drivers:
            self._drivers.update({h.name: h.driver for h in self.driver.hosts()})
        return self._drivers.get(host, "")

    def _warn_of_process(self, pod: Follower, host: str) -> None:
        if self._driver_of(host) == "shell":
            self.tell(f"{pod.label}no engine there: runs as plain processes of your user, without isolation or image")
