"""A dispatcher over mock hosts, which can be killed at any moment and started again on the same ledger."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from interlink.dispatcher import Dispatcher, Settings
from interlink.drivers.mock import MockDriver
from interlink.ledger import FileLeases, FilePayloads, Ledger
from interlink.model.driver import Created, PodRecord
from interlink.model.host import Host
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import PodStatus, Terminated
from interlink.watch import Intervals

DEADLINE = 120.0  # seconds, for what takes a fraction of one
QUICK = Settings(
    launch_wait=20.0,  # a slow machine's create is no reason to answer without the native id
    backoff=0.01,
    backoff_max=0.1,
    tick=0.05,
    intervals=Intervals(backoff=0.01, backoff_max=0.05, recheck=0.05),
)
T = TypeVar("T")


def wait(look: Callable[[], T], what: str) -> T:
    """Return the first true value of `look`."""
    until = time.monotonic() + DEADLINE
    while not (found := look()):
        assert time.monotonic() < until, f"not within {DEADLINE:.0f} s: {what}"
        time.sleep(0.005)
    return found


class Killed(SystemExit):
    """The process does not live any more; no `except Exception` may catch that."""


@dataclass
class Fuse:
    """Stops a "process" at any of its calls to the world outside, before or after the call has its effect."""

    left: int | None = None  # calls until it blows
    blown: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        with self._lock:
            if self.left is not None:
                self.left -= 1
                self.blown = self.blown or self.left <= 0
            if self.blown:
                raise Killed

    def wrap(self, inner: Any) -> Any:
        return Fused(inner, self)


class Fused:
    """An object whose calls pass a fuse."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.check()
            result = found(*args, **kwargs)
            self._fuse.check()
            return result

        return call


class CountingHost(MockDriver):
    """A mock host that remembers every launch that really happened."""

    def __init__(self, host: Host, server_id: str, launches: dict[str, list[str]]) -> None:
        super().__init__(host, server_id)
        self._launches = launches

    def create(self, request: PodRequest) -> Created:
        with self._changed:
            before = request.pod.uid in self._lives
            try:
                return super().create(request)
            finally:
                if not before and request.pod.uid in self._lives:
                    self._launches.setdefault(request.pod.uid, []).append(self.host.name)

    @property
    def living(self) -> set[str]:
        with self._changed:
            return set(self._lives)


class World:
    """Hosts that outlive the dispatcher's process, and the state directory on disk."""

    def __init__(
        self, state: Path, hosts: Mapping[str, Mapping[str, Any]] | None = None, settings: Settings = QUICK
    ) -> None:
        self.state, self.settings = state, settings
        self.hosts = {name: Host(name, vars=dict(v)) for name, v in (hosts or {"h1": {}, "h2": {}}).items()}
        self.launches: dict[str, list[str]] = {}
        self.drivers: dict[str, CountingHost] = {}
        self.made: list[str] = []
        self.fuse = Fuse()
        self.dispatcher: Dispatcher
        self._ledger: Ledger
        self._leases: FileLeases
        self.alive = False

    def make_driver(self, host: Host) -> Any:
        self.made.append(host.name)
        known = self.drivers.get(host.name)
        if known is None:
            known = self.drivers[host.name] = CountingHost(host, "id", self.launches)
        return self.fuse.wrap(known)

    def start(self, *, connected: bool = True) -> Dispatcher:
        """Start a new process."""
        self.fuse = Fuse()
        self._ledger = Ledger(f"sqlite:///{self.state}/ledger.db")
        self._leases = FileLeases(self.state / "lease")
        self.dispatcher = Dispatcher(
            self.hosts,
            ledger=self.fuse.wrap(self._ledger),
            payloads=self.fuse.wrap(FilePayloads(self.state / "payload")),
            leases=self._leases,
            make_driver=self.make_driver,
            settings=self.settings,
        )
        self.dispatcher.start()
        self.alive = True
        if connected:
            wait(lambda: all(h.reachable for h in self.dispatcher.hosts()), "all hosts are reached")
        return self.dispatcher

    def kill(self) -> None:
        """End the process at this moment; nothing of it reaches the world any more."""
        self.fuse.blown = True
        self._bury()

    def stop(self) -> None:
        """End the process in good order."""
        self.dispatcher.close()
        self._leases.close()
        self._ledger.close()
        self.alive = False

    def _bury(self) -> None:
        for end in (self.dispatcher._housekeeper.stop, self.dispatcher._stations.close, self.dispatcher._lanes.close):
            end()
        self._leases.close()
        self._ledger.close()
        self.alive = False

    def living(self) -> set[str]:
        """Return the pods that are on any host."""
        return set().union(*(d.living for d in self.drivers.values()))

    def record(self, uid: str) -> PodRecord:
        return self.dispatcher.pod(uid)

    def until(self, uid: str, true: Callable[[PodRecord], Any], what: str) -> PodRecord:
        def look() -> PodRecord | None:
            record = self.dispatcher.pod(uid)
            return record if true(record) else None

        try:
            return wait(look, what)  # type: ignore[return-value]
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.dispatcher.pod(uid)}") from None

    def status(self, uid: str) -> PodStatus:
        return self.dispatcher.pod(uid).status

    def ended(self, uid: str) -> Terminated:
        """Return how a pod's first container ended."""
        state = self.status(uid).containers[0].state
        assert isinstance(state, Terminated), state
        return state


@contextmanager
def world(state: Path, *args: Any, **kwargs: Any) -> Iterator[World]:
    made = World(state, *args, **kwargs)
    made.start()
    try:
        yield made
    finally:
        if made.alive:
            made.stop()


def request_for(
    uid: str = "",
    *,
    node: str = "",
    run: float | str = "forever",
    code: int = 0,
    requests: Mapping[str, Any] | None = None,
    **spec: Any,
) -> PodRequest:
    """Return a pod of one container that runs `run` seconds and ends with `code`."""
    uid = uid or str(uuid.uuid4())
    plan = {"mock.interlink.eu/run.main": str(run), "mock.interlink.eu/code.main": str(code)}
    container = {"name": "main", "image": "i", "resources": {"requests": dict(requests or {})}}
    return PodRequest(
        Pod(
            {
                "metadata": {"uid": uid, "name": f"p-{uid}", "namespace": "ns", "annotations": plan},
                "spec": {"nodeName": node, "restartPolicy": "Never", "containers": [container], **spec},
            }
        )
    )


def ref(request: PodRequest) -> PodRef:
    return PodRef.of(request.pod)
