"""Steps that all our services on a machine share; what the first of them finds out is there for the later ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from interlink.deploy import machine as machines
from interlink.deploy import remote
from interlink.deploy.machine import Machine
from interlink.deploy.manage import Manager
from interlink.deploy.steps import Finding, Step
from interlink.deploy.units import Service
from interlink.model.host import Host
from interlink.remote import shell
from interlink.remote.connection import Connection
from interlink.remote.pool import Pool


class OnMachine:
    """One machine of the group interlink_server."""

    def __init__(self, host: Host, pool: Pool) -> None:
        self.host, self._pool = host, pool
        self._machine: Machine | None = None

    @property
    def connection(self) -> Connection:
        return self._pool.connection(self.host)

    @property
    def machine(self) -> Machine:
        assert self._machine is not None, "the step that looks at it comes first, and ends the plan if it fails"
        return self._machine

    @property
    def manager(self) -> Manager:
        return Manager(self.connection, self.machine)

    def machine_step(self) -> Step:
        """The step that has to come first."""
        return Step("machine", self._look_at_machine)

    def unit_step(self, service: Callable[[], Service]) -> Step:
        """The step that installs a unit, where there is systemd."""
        return Step("unit", lambda: self._unit_look(service()), lambda: self._unit_mend(service()))

    def stamp(self, service: Service, *parts: str) -> str:
        """Return what tells a service that runs as wanted from any other: its unit, and what it read at its start."""
        unit = self.manager.unit_file(service)
        whole = [*service.argv, unit.stamp if unit else "", *parts]
        return hashlib.sha256("\0".join(whole).encode()).hexdigest()[:16]

    def _look_at_machine(self) -> Finding:
        self._machine = machines.gather(self.host, self.connection)
        return Finding(self._machine.described())

    def _unit_look(self, service: Service) -> Finding:
        unit = self.manager.unit_file(service)
        if unit is None:
            return Finding("none: there is no systemd; a pid file does its work")
        return remote.files_look(self.connection, (unit,))

    def _unit_mend(self, service: Service) -> None:
        unit = self.manager.unit_file(service)
        assert unit is not None, "without one there was nothing to mend"
        remote.run(self.connection, f"mkdir -p {shell.path(unit.path.rpartition('/')[0])}")
        remote.files_mend(self.connection, (unit,))
