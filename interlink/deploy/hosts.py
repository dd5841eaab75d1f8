"""The steps that make a host of the inventory ready for pods; nothing is installed there, and root is not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from interlink.deploy import judge, remote, smoke
from interlink.deploy.steps import Difference, Finding, Plan, Step
from interlink.errors import CommandFailed, EngineUnavailable, HostKeyRejected, InputError
from interlink.model.driver import HostDriver, HostFacts
from interlink.model.host import Host
from interlink.model.login import Login
from interlink.remote import facts as host_facts
from interlink.remote import shell
from interlink.remote.connection import Connection
from interlink.remote.hostkeys import OfferedKey
from interlink.remote.pool import Pool

_PULL_SECONDS = 900.0


@dataclass(frozen=True)
class Wishes:
    """What the caller wants of all hosts. `driver` makes the driver of a host."""

    driver: Callable[[Host], HostDriver]
    trust: bool = False  # pin the keys of hosts that have none pinned yet
    smoke: bool = True
    smoke_seconds: float = 120.0


def plan(host: Host, pool: Pool, wishes: Wishes) -> Plan:
    """Return the steps for one host."""
    return Plan(host.name, tuple(_Preparing(host, pool, wishes).steps()))


class _Preparing:
    """The steps of one host; facts that one step gathers are there for the later ones."""

    def __init__(self, host: Host, pool: Pool, wishes: Wishes) -> None:
        self._host, self._pool, self._wishes = host, pool, wishes
        self._facts: HostFacts | None = None

    def steps(self) -> Iterator[Step]:
        driver = self._host.driver
        if driver == "mock":
            yield Step("host", lambda: Finding("mock: there is nothing to prepare"))
            return
        if not Login.of(self._host).local:
            yield Step("host key", self._key, self._trust)
        yield Step("login", self._login)
        yield Step("facts", self._gather)
        yield Step("requirements", self._requirements)
        directory = remote.Directory(self._connection, self._host.root)
        yield Step("directory", directory.look, directory.mend)
        if driver in ("auto", "docker"):
            yield Step("engine", self._engine)
            yield Step("pause image", self._pause, self._pull)
        if driver in ("shell", "slurm"):
            yield Step("runtime", self._runtime)
        if driver == "slurm":
            yield Step("partition", self._partition)
        if self._wishes.smoke:
            yield Step("smoke pod", self._smoke, probe=True)

    @property
    def _connection(self) -> Connection:
        return self._pool.connection(self._host)

    @property
    def _known(self) -> HostFacts:
        assert self._facts is not None, "the step that gathers them comes first, and ends the plan if it fails"
        return self._facts

    @property
    def _driver(self) -> str:
        """The driver, `auto` settled by what was found."""
        if self._host.driver != "auto":
            return self._host.driver
        return "docker" if self._known.engine else "shell"

    def _key(self) -> Finding:
        """Compare what the host offers with what is pinned, without logging in to it."""
        offered: list[OfferedKey] = []

        def note(key: OfferedKey) -> bool:
            offered.append(key)
            return False

        try:
            known = self._pool.trust(self._host, note)
        except HostKeyRejected:
            if not offered:  # a changed key: never ours to decide
                raise
            key = offered[-1]
            if self._wishes.trust:
                return Finding(differences=(Difference(f"pinned key {key.type} {key.fingerprint} ({key.name})"),))
            raise HostKeyRejected(
                f"the key of {key.name} is not known: {key.type} {key.fingerprint}. Compare it with the host's own,"
                f" then trust it by: interlink hosts.trust {self._host.name} (or all new ones by --trust)"
            ) from None
        return Finding(", ".join(f"{key.type} {key.fingerprint}" for key in known[-1:]))

    def _trust(self) -> None:
        self._pool.trust(self._host, lambda _key: True)

    def _login(self) -> Finding:
        result = self._connection.run("id -un", timeout=30)
        if result.code:
            raise CommandFailed(f"its shell ends with {result.code}: {result.error_text}", code=result.code)
        return Finding(f"as {result.text.strip()}")

    def _gather(self) -> Finding:
        self._facts = host_facts.gather(self._host, self._connection)
        return Finding(judge.summary(self._facts))

    def _requirements(self) -> Finding:
        now = datetime.now(timezone.utc)
        if found := list(judge.complaints(self._host, self._driver, self._known, now)):
            raise InputError("; ".join(found))
        return Finding("; ".join(judge.warnings(self._known, now)))

    def _engine(self) -> Finding:
        if self._driver != "docker":
            return Finding("none works here: pods run as plain processes, without isolation")
        if complaint := judge.engine(self._host, self._known):
            raise EngineUnavailable(complaint)
        return Finding(f"{self._known.engine} {self._known.engine_version}")

    def _pause(self) -> Finding:
        if self._driver != "docker":
            return Finding("not needed")
        image = str(self._host.get("interlink_pause_image"))
        command = shell.join([self._known.engine, "image", "inspect", "--format", "{{.Id}}", image])
        result = self._connection.run(command, timeout=60)
        if result.code == 0:
            return Finding(image)
        if "no such" in result.error_text.lower() or "not known" in result.error_text.lower():
            return Finding(differences=(Difference(f"image {image}"),))
        raise EngineUnavailable(f"{self._known.engine} cannot look for {image}: {result.error_text}")

    def _pull(self) -> None:
        image = str(self._host.get("interlink_pause_image"))
        result = self._connection.run(shell.join([self._known.engine, "pull", "-q", image]), timeout=_PULL_SECONDS)
        if result.code:
            raise CommandFailed(
                f"the pause image {image} cannot be pulled: {result.error_text}; set interlink_pause_image to one"
                " that the host can reach, or load it there by hand",
                code=result.code,
            )

    def _runtime(self) -> Finding:
        note, complaint = judge.runtime(self._host, self._driver, self._known)
        if complaint:
            raise InputError(complaint)
        return Finding(note)

    def _partition(self) -> Finding:
        note, complaint = judge.partition(self._host, self._known)
        if complaint:
            raise InputError(complaint)
        return Finding(note)

    def _smoke(self) -> Finding:
        image = str(self._host.get("interlink_smoke_image"))
        return Finding(smoke.run(self._wishes.driver(self._host), image, self._wishes.smoke_seconds))
