"""The steps that make a machine run the server: release, files, token, unit, and its answer at /readyz."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from interlink.config import documents
from interlink.deploy import manage, remote, serverfiles
from interlink.deploy.libraries import Libraries
from interlink.deploy.machine import Machine, lacks
from interlink.deploy.manage import State
from interlink.deploy.onmachine import OnMachine
from interlink.deploy.releases import Installation, Release
from interlink.deploy.remote import Directory, File
from interlink.deploy.steps import Difference, Finding, Plan, Step
from interlink.deploy.units import Service
from interlink.deploy.wheel import Wheel
from interlink.errors import CommandFailed, InputError
from interlink.model.host import Host, Inventory, workers
from interlink.model.login import Login
from interlink.remote import shell
from interlink.remote.pool import Pool

NAME = "interlink-server"
READY_SECONDS = 120.0


@dataclass(frozen=True)
class Wanted:
    """What is to run: a wheel, its libraries as they are here, the whole inventory, and the host keys that are pinned
    by the one who deploys."""

    wheel: Wheel
    libraries: Libraries | None
    inventory: Inventory
    known_hosts: Path


def plan(host: Host, pool: Pool, wanted: Wanted) -> Plan:
    """Return the steps for one machine."""
    return Plan(host.name, tuple(_Deploying(host, pool, wanted).steps()))


def service(machine: Machine, *, local: bool = False) -> Service:
    """Return the server as a service; its command names no secret. `local`: it has pods on its own machine, too."""
    argv = (f"{machine.current}/bin/interlink", "serve", "--config-file", f"{machine.config}/interlink.yaml")
    return Service(NAME, "interLink server: pods on machines outside the cluster", argv, (machine.base,), local=local)


def question(host: Host, machine: Machine) -> list[str]:
    """Return the command that asks the server, on its machine, whether it is ready."""
    return _question(str(host.get("interlink_server_listen")), machine)


def _question(listen: str, machine: Machine) -> list[str]:
    program = f"{machine.current}/bin/interlink"
    return [program, "server.ready", "--server", url(listen), "--token-file", f"{machine.config}/token"]


def url(listen: str) -> str:
    """Return where a server is reached from its own machine.

    >>> url("0.0.0.0:3000"), url("[::]:3000"), url("unix:///run/interlink.sock"), url("192.0.2.1:80")
    ('http://127.0.0.1:3000', 'http://[::1]:3000', 'unix:///run/interlink.sock', 'http://192.0.2.1:80')
    """
    if listen.startswith("unix:"):
        return listen
    host, _, port = listen.rpartition(":")
    own = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  what stands for every address is none to call
    return f"http://{own.get(host, host)}:{port}"


class _Deploying(OnMachine):
    """The steps of one machine."""

    def __init__(self, host: Host, pool: Pool, wanted: Wanted) -> None:
        super().__init__(host, pool)
        self._wanted = wanted

    def steps(self) -> Iterator[Step]:
        yield self.machine_step()
        yield Step("requirements", self._requirements)
        yield Step("directories", self._directories_look, self._directories_mend)
        yield Step("release", lambda: self._installation.look(), lambda: self._installation.mend())  # noqa: PLW0108  the machine is known by then
        yield Step("token", self._token_look, self._token_mend)
        yield Step("files", self._files_look, lambda: remote.files_mend(self.connection, self._files))
        yield self.unit_step(lambda: self._service)
        yield Step("running", self._running, self._restart)
        yield Step("ready", self._ready, probe=True)

    @property
    def _directories(self) -> list[Directory]:
        names = ("", "/config", "/config/keys", "/state", "/run")
        return [Directory(self.connection, f"{self.machine.base}{name}") for name in names]

    def _directories_look(self) -> Finding:
        found = [difference for each in self._directories for difference in each.look().differences]
        return Finding(self.machine.base, tuple(found))

    def _directories_mend(self) -> None:
        for each in self._directories:
            if each.look().differences:
                each.mend()

    @cached_property
    def _release(self) -> Release:
        return Release.of(self._wanted.wheel, self._wanted.libraries, self.machine)

    @property
    def _installation(self) -> Installation:
        return Installation(self.connection, self.machine, self._release)

    def _requirements(self) -> Finding:
        """See that the release can be installed, before anything is made; what is there already needs nothing."""
        if not self._installation.look().differences:
            return Finding("installed already")
        if complaint := "; ".join(lacks(self.machine, fetches=self._release.libraries is None)):
            raise InputError(complaint)
        return Finding(self._release.source)

    @cached_property
    def _files(self) -> tuple[File, ...]:
        return serverfiles.files(self.host, self.machine, self._wanted.inventory, self._wanted.known_hosts)

    def _files_look(self) -> Finding:
        return remote.files_look(self.connection, self._files)

    def _token_look(self) -> Finding:
        token = shell.path(f"{self.machine.config}/token")
        script = f'if [ -s {token} ] && [ "$(stat -c %a {token})" = 600 ]; then echo yes; else echo no; fi'
        if remote.run(self.connection, script).strip() == "yes":
            return Finding("0600, known to that machine alone")
        return Finding(differences=(Difference(f"{self.machine.config}/token (0600), made there"),))

    def _token_mend(self) -> None:
        token = shell.path(f"{self.machine.config}/token")
        script = (
            f"set -e; umask 077; t={token}\n"
            'if [ ! -s "$t" ]; then\n'
            '    head -c 32 /dev/urandom | base64 | tr -d "=\\n" | tr "+/" "-_" > "$t.new"; mv -f "$t.new" "$t"\n'
            "fi\n"
            'chmod 600 "$t"\n'
        )
        remote.run(self.connection, script)

    @property
    def _service(self) -> Service:
        hosts = workers(self._wanted.inventory).hosts.values()
        return service(self.machine, local=any(Login.of(host).local for host in hosts))

    @cached_property
    def _stamp(self) -> str:
        """What a running server depends on; a changed inventory is taken over in place."""
        return self.stamp(self._service, self._release.name, self._files[0].stamp)

    def _running(self) -> Finding:
        return manage.running_look(self.manager, self._service, self._stamp)

    def _restart(self) -> None:
        """Start the wanted release in place of what runs; where it does not answer, what ran before comes back."""
        before = self.manager.state(NAME)
        self.manager.stop(NAME)
        self.manager.switch(NAME, self._release.name)
        self.manager.start(self._service, self._stamp)
        try:
            manage.wait(self.manager, NAME, question(self.host, self.machine), READY_SECONDS)
        except CommandFailed as error:
            if not before.active:
                raise
            raise CommandFailed(f"{error}; {self._restored(before)}", code=error.code) from error
        self._settings("cp -p interlink.yaml good.new && mv -f good.new interlink.yaml.good")

    def _restored(self, before: State) -> str:
        """Bring back the release and the settings that were running; say how that went."""
        self.manager.stop(NAME)
        self._settings("if [ -f interlink.yaml.good ]; then cp -p interlink.yaml.good interlink.yaml; fi")
        self.manager.switch(NAME, before.release)
        self.manager.start(self._service, before.stamp)
        try:
            [settings] = documents.parse(self._settings("cat interlink.yaml"), "interlink.yaml")
            manage.wait(self.manager, NAME, _question(str(settings["listen"]), self.machine), READY_SECONDS)
        except (CommandFailed, InputError) as error:
            return f"and what ran before does not come back: {error}"
        return "what ran before runs again"

    def _settings(self, command: str) -> str:
        return remote.run(self.connection, f"cd {shell.path(self.machine.config)} && {{ {command}; }}")

    def _ready(self) -> Finding:
        manage.wait(self.manager, NAME, question(self.host, self.machine), READY_SECONDS)
        return Finding(f"{url(str(self.host.get('interlink_server_listen')))} answers /readyz")
