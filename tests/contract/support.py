"""Pods that every driver can run, and waiting for what becomes of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from interlink import errors
from interlink.model.driver import Driver, LogQuery
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import ContainerStatus, PodStatus, Running, Terminated
from interlink.remote.connection import Connection, Result, Stream

DEADLINE = 240.0  # seconds: for what takes a second or two on an idle machine

FEATURES = frozenset(
    {
        "host",  # a HostDriver: listing, observe, changes, final status on delete
        "usage",  # measures what host and containers use
        "processes",  # really runs commands
        "images",  # runs images: their entrypoint, command and working directory
        "restarts",  # restartPolicy, native sidecars, activeDeadlineSeconds
        "volumes",  # configMap, secret, projected, downwardAPI and emptyDir files
        "mounts",  # volumeMounts at any path
        "odd-env",  # names of variables that are no identifiers
        "care",  # probes and lifecycle hooks
    }
)

T = TypeVar("T")


def wait(look: Callable[[], T | None], what: str, timeout: float = DEADLINE) -> T:
    """Return the first true value of `look`; AssertionError after `timeout` seconds, saying what was missed."""
    end = time.monotonic() + timeout
    pause = 0.02
    while True:
        if found := look():
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:.0f} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


@dataclass(frozen=True)
class Box:
    """One container: the script that really runs, and what a mock plays in its place."""

    script: str = "true"
    name: str = "main"
    argv: Sequence[str] | None = None  # instead of the script
    log: str = ""
    code: int | str = 0
    run: float | str = 0.05
    stop: float | str = 0.0
    stop_code: int = 143
    volumes: Sequence[str] = ()  # names of volumes that it sees below `/v`
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> dict[str, str]:
        values = {
            "cpu": 0.5,
            "memory": 1 << 20,
            "log": self.log,
            "code": self.code,
            "run": self.run,
            "stop": self.stop,
            "stop-code": self.stop_code,
        }
        return {f"mock.interlink.eu/{key}.{self.name}": str(value) for key, value in values.items()}


FOREVER = {"run": "forever"}


class LossyConnection:
    """A connection whose next scripts can be lost, before or after the host has run them."""

    def __init__(self, inner: Connection) -> None:
        self._inner, self.name = inner, inner.name
        self._losses: list[tuple[bytes, str]] = []

    def lose(self, uid: str, when: str) -> None:
        """Lose the next script that carries `uid`: `before` it is run, or `after`."""
        self._losses.append((uid.encode(), when))

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 240.0, limit: int = 64 << 20) -> Result:
        loss = next((loss for loss in self._losses if loss[0] in script.encode() + stdin), None)
        if loss is not None:
            self._losses.remove(loss)
            if loss[1] == "after":
                self._inner.run(script, stdin=stdin, timeout=timeout, limit=limit)
            raise errors.ConnectionLost("lost by the test")
        return self._inner.run(script, stdin=stdin, timeout=timeout, limit=limit)

    def stream(self, script: str, *, timeout: float = 120.0) -> Stream:
        return self._inner.stream(script, timeout=timeout)

    def close(self) -> None:
        self._inner.close()


@dataclass
class Run:
    """A pod of a test, and questions about it."""

    driver: Driver
    request: PodRequest

    @property
    def ref(self) -> PodRef:
        return PodRef.of(self.request.pod)

    @property
    def uid(self) -> str:
        return self.request.pod.uid

    def status(self) -> PodStatus | None:
        found = self.driver.status([self.ref])
        return found[0] if found else None

    def until(self, true: Callable[[PodStatus], Any], what: str, timeout: float = DEADLINE) -> PodStatus:
        """Wait for a status with which `true` is satisfied."""
        seen: list[PodStatus | None] = [None]

        def look() -> PodStatus | None:
            seen[0] = self.status()
            return seen[0] if seen[0] is not None and true(seen[0]) else None

        try:
            return wait(look, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen: {seen[0]}") from None

    def ended(self, timeout: float = DEADLINE) -> PodStatus:
        return self.until(lambda s: s.terminal, "the pod ends", timeout)

    def running(self, *names: str) -> PodStatus:
        """Wait until these containers run (none given: the one called main)."""
        wanted = names or ("main",)
        return self.until(lambda s: all(runs(container(s, n)) for n in wanted), f"{wanted} run")

    def log(self, name: str = "", **query: Any) -> bytes:
        """Read a log to its end."""
        with closing(self.driver.logs(LogQuery(self.ref, name, **query))) as stream:
            return b"".join(stream)

    def logged(self, text: bytes, name: str = "") -> bytes:
        """Wait until a log holds this text."""

        def look() -> bytes | None:
            log = self.log(name)
            return log if text in log else None

        return wait(look, f"{text!r} in the log of {name or 'main'}")

    def delete(self, grace: int | None = None) -> PodStatus | None:
        return delete(self.driver, self.ref, grace)


def delete(driver: Driver, ref: PodRef, grace: int | None = None) -> PodStatus | None:
    """Delete a pod and wait until it is gone, asking again while it still stops."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            final = driver.delete(ref, grace)
            break
        except errors.Unavailable:
            assert time.monotonic() < end, "the pod never stopped"
            time.sleep(0.05)
    wait(lambda: not driver.status([ref]), "the deleted pod is gone")
    return final


def container(status: PodStatus, name: str) -> ContainerStatus:
    return next(c for c in status.containers if c.name == name)


def runs(status: ContainerStatus) -> bool:
    return isinstance(status.state, Running)


def ended(status: PodStatus, name: str = "main") -> Terminated:
    """Return how a container ended; it must have."""
    state = container(status, name).state
    assert isinstance(state, Terminated), state
    return state


@dataclass
class Rig:
    """A driver under contract.

    `lose(uid, when)` makes the answer of this pod's next create be lost, `before` or `after` the host has
    done it. `foreign` is a driver on the same host for another server id.
    """

    driver: Any
    features: frozenset[str]
    image: str = "mock"
    lose: Callable[[str, str], None] | None = None
    foreign: Driver | None = None

    @property
    def deadline(self) -> int:
        """Seconds in which a container has started and ended, on a busy machine too."""
        return 12 if "images" in self.features else 3

    def path(self, volume: str) -> str:
        """Return where a script finds a volume, as shell text."""
        return f"/v/{volume}" if "mounts" in self.features else f"$IL_VOLUMES/{volume}"

    def pod(self, *boxes: Box, inits: Sequence[Box] = (), **spec: Any) -> PodRequest:
        """Compile a pod; `configmaps`, `secrets` and `annotations` are taken out of `spec`."""
        uid = str(uuid.uuid4())
        configmaps, secrets = tuple(spec.pop("configmaps", ())), tuple(spec.pop("secrets", ()))
        projected, more = tuple(spec.pop("projected", ())), spec.pop("annotations", {})
        annotations = {k: v for box in (*inits, *boxes) for k, v in box.plan.items()} | more
        raw = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"c-{uid[:8]}", "namespace": "contract", "uid": uid, "annotations": annotations},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 20,
                **({"initContainers": [self._container(box) for box in inits]} if inits else {}),
                "containers": [self._container(box) for box in boxes],
                **spec,
            },
        }
        return PodRequest(Pod(raw), configmaps, secrets, projected)

    def _container(self, box: Box) -> dict[str, Any]:
        mounts = [{"name": volume, "mountPath": self.path(volume)} for volume in box.volumes]
        return {
            "name": box.name,
            "image": self.image,
            "command": list(box.argv or ["sh", "-c", box.script]),
            **({"volumeMounts": mounts} if mounts and "mounts" in self.features else {}),
            **box.more,
        }

    @contextmanager
    def run(self, *boxes: Box, inits: Sequence[Box] = (), **spec: Any) -> Iterator[Run]:
        """Create a pod, and delete it in the end."""
        with self.launch(self.pod(*boxes, inits=inits, **spec)) as run:
            yield run

    @contextmanager
    def launch(self, request: PodRequest) -> Iterator[Run]:
        run = Run(self.driver, request)
        try:
            self.driver.create(request)
            yield run
        finally:
            run.delete(grace=0)
