"""Our services on one machine: unit, start, stop, state; every verb is one script, and can be repeated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from interlink.deploy import remote, units
from interlink.deploy.machine import Machine
from interlink.deploy.remote import File
from interlink.deploy.steps import Difference, Finding
from interlink.deploy.units import Service
from interlink.errors import CommandFailed, DeadlineExceeded, InputError
from interlink.remote import shell
from interlink.remote.connection import Connection, Result

_STOP_SECONDS = 120.0


@dataclass(frozen=True)
class State:
    """How a service stands; `stamp` is what it was started with, "" if it was not started by us."""

    state: str
    stamp: str
    release: str
    previous: str

    @property
    def active(self) -> bool:
        return self.state == "active"


@dataclass(frozen=True)
class Manager:
    """The services below one directory of one machine."""

    connection: Connection
    machine: Machine

    def unit_file(self, service: Service) -> File | None:
        """Return the unit to install; None without systemd."""
        if self.machine.manager == "pidfile":
            return None
        system = self.machine.manager == "system"
        directory = "/etc/systemd/system" if system else "~/.config/systemd/user"
        return File(f"{directory}/{service.name}.service", units.unit(service, system=system).encode(), 0o644)

    def state(self, name: str) -> State:
        """Ask how a service stands."""
        pairs = [line.partition(" ") for line in self._call(name, "il_state").splitlines()]
        found = {key: value.strip() for key, _, value in pairs}
        return State(*(found.get(key, "") for key in ("state", "stamp", "release", "previous")))

    def start(self, service: Service, stamp: str) -> None:
        """Start a service; nothing happens if it runs."""
        self._call(service.name, "il_start", stamp, f"{self.machine.base}/run/{service.name}.log", *service.argv)

    def stop(self, name: str) -> None:
        """Stop a service; nothing happens if it does not run."""
        self._call(name, "il_stop")

    def switch(self, name: str, release: str) -> None:
        """Make an installed release the current one, for the next start."""
        self._call(name, "il_switch", release)

    def logs(self, name: str, lines: int) -> str:
        """Return the end of a service's log."""
        return self._call(name, "il_logs", str(lines))

    def _call(self, name: str, *call: str) -> str:
        values = {"il_base": self.machine.base, "il_manager": self.machine.manager, "il_name": name}
        script = shell.assignments(values)
        script += resources.files(__package__).joinpath("service.sh").read_text("utf-8")
        return remote.run(self.connection, f"{script}\n{shell.join(call)}\n", timeout=_STOP_SECONDS)


def running_look(manager: Manager, service: Service, stamp: str) -> Finding:
    """See whether a service runs as it was wanted last."""
    found = manager.state(service.name)
    if found.active and found.stamp == stamp:
        return Finding(f"{found.state}, release {found.release}")
    why = "not running" if not found.active else "started with another release or configuration"
    return Finding(differences=(Difference(f"{service.name}: {why}"),))


def wait(manager: Manager, name: str, question: Sequence[str], patience: float) -> str:
    """Repeat a question (an argument list on the machine) until it says yes; CommandFailed with the log's end."""
    until = time.monotonic() + patience
    while True:
        try:
            result = manager.connection.run(shell.join(question), timeout=60)
        except DeadlineExceeded as error:  # something else may have its port, and say nothing
            result = Result(1, stderr=str(error).encode())
        if result.code == 0:
            return result.text
        if not manager.state(name).active or time.monotonic() > until:
            log = " / ".join(line.strip() for line in manager.logs(name, 8).splitlines() if line.strip())
            said = log or result.error_text or result.text.strip()
            raise CommandFailed(f"{name} does not answer: {said[-600:]}", code=result.code)
        time.sleep(0.5)


def rollback(manager: Manager, service: Service, stamp: str) -> str:
    """Go back to the release before; return its name. InputError where there is none."""
    found = manager.state(service.name)
    if not found.previous or found.previous == found.release:
        raise InputError("there is no earlier release to go back to")
    manager.stop(service.name)
    manager.switch(service.name, found.previous)
    manager.start(service, stamp)
    return found.previous
