"""The deployed server's daily life: start, stop, restart, status, logs, rollback, on its machine over SSH."""

from __future__ import annotations

import json as jsons
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from invoke.context import Context
from invoke.exceptions import Exit

from interlink.deploy import kubelet, machine, manage, server
from interlink.deploy.manage import Manager
from interlink.errors import ConfigError
from interlink.model.host import Host
from interlink.remote import shell
from interlink.tasks.command import command
from interlink.tasks.deployment import HELP, Site

_HELP = {name: HELP[name] for name in ("inventory", "limit")}


@contextmanager
def managing(inventory: Sequence[str] | None, limit: str) -> Iterator[tuple[Host, Manager]]:
    """Give the server's machine and the services there."""
    site = Site.read(inventory, limit)
    host = site.one_server()
    with site.pool() as pool:
        connection = pool.connection(host)
        yield host, Manager(connection, machine.gather(host, connection))


@command(iterable=["inventory"], help=_HELP)
def start(_: Context, inventory: list[str] | None = None, limit: str = "") -> None:
    """Start the deployed server, and wait until it answers."""
    with managing(inventory, limit) as (host, manager):
        _start(host, manager)
        print(f"{host.name}: the server runs")


@command(iterable=["inventory"], help=_HELP)
def stop(_: Context, inventory: list[str] | None = None, limit: str = "") -> None:
    """Stop the deployed server; the pods on the hosts go on."""
    with managing(inventory, limit) as (host, manager):
        manager.stop(server.NAME)
        print(f"{host.name}: the server has stopped; its pods go on")


@command(iterable=["inventory"], help=_HELP)
def restart(_: Context, inventory: list[str] | None = None, limit: str = "") -> None:
    """Stop and start the deployed server; the pods on the hosts go on meanwhile."""
    with managing(inventory, limit) as (host, manager):
        manager.stop(server.NAME)
        _start(host, manager)
        print(f"{host.name}: the server runs again")


@command(iterable=["inventory"], help={**_HELP, "json": "print JSON"})
def status(_: Context, inventory: list[str] | None = None, limit: str = "", json: bool = False) -> None:
    """Show how the deployed server stands; end with 1 if it does not answer."""
    with managing(inventory, limit) as (host, manager):
        found = manager.state(server.NAME)
        answer = manager.connection.run(shell.join(server.question(host, manager.machine)), timeout=60)
        told = {
            "host": host.name,
            **asdict(found),
            "manager": manager.machine.manager,
            "directory": manager.machine.base,
            "listen": str(host.get("interlink_server_listen")),
            "ready": answer.code == 0,
        }
    _show(told, json=json)
    if not told["ready"]:
        raise Exit(code=1)


@command(iterable=["inventory"], help={**_HELP, "lines": "how many of the last lines"})
def logs(_: Context, inventory: list[str] | None = None, limit: str = "", lines: int = 100) -> None:
    """Print the end of the deployed server's log."""
    with managing(inventory, limit) as (_host, manager):
        print(manager.logs(server.NAME, lines), end="")


@command(iterable=["inventory"], help=_HELP)
def rollback(_: Context, inventory: list[str] | None = None, limit: str = "") -> None:
    """Go back to the release before the current one; the pods on the hosts go on meanwhile."""
    with managing(inventory, limit) as (host, manager):
        release = manage.rollback(manager, server.service(manager.machine), "rolled back")
        manage.wait(manager, server.NAME, server.question(host, manager.machine), server.READY_SECONDS)
        print(f"{host.name}: release {release} runs; the next deploy brings its own again")


def _start(host: Host, manager: Manager) -> None:
    found = manager.state(server.NAME)
    if not found.release:
        raise ConfigError(f"there is no server on {host.name} yet: interlink server.deploy")
    manager.start(server.service(manager.machine), found.stamp)
    manage.wait(manager, server.NAME, server.question(host, manager.machine), server.READY_SECONDS)


@command(name="start", iterable=["inventory"], help=_HELP)
def start_kubelet(_: Context, inventory: list[str] | None = None, limit: str = "") -> None:
    """Start the deployed virtual kubelet beside its server."""
    with managing(inventory, limit) as (host, manager):
        found = manager.state(kubelet.NAME)
        if not found.stamp:
            raise ConfigError(f"there is no virtual kubelet on {host.name} yet: interlink kubelet.deploy")
        manager.start(kubelet.service(host, manager.machine), found.stamp)
        print(f"{host.name}: the virtual kubelet runs")


@command(name="stop", iterable=["inventory"], help=_HELP)
def stop_kubelet(_: Context, inventory: list[str] | None = None, limit: str = "") -> None:
    """Stop the deployed virtual kubelet; its pods go on, and after 40 s Kubernetes shows its nodes as NotReady."""
    with managing(inventory, limit) as (host, manager):
        manager.stop(kubelet.NAME)
        print(f"{host.name}: the virtual kubelet has stopped")


@command(name="status", iterable=["inventory"], help={**_HELP, "json": "print JSON"})
def kubelet_status(_: Context, inventory: list[str] | None = None, limit: str = "", json: bool = False) -> None:
    """Show how the deployed virtual kubelet stands; end with 1 if it does not run."""
    with managing(inventory, limit) as (host, manager):
        found = manager.state(kubelet.NAME)
    told = {"host": host.name, **asdict(found), "manager": manager.machine.manager}
    _show(told, json=json)
    if not found.active:
        raise Exit(code=1)


@command(name="logs", iterable=["inventory"], help={**_HELP, "lines": "how many of the last lines"})
def kubelet_logs(_: Context, inventory: list[str] | None = None, limit: str = "", lines: int = 100) -> None:
    """Print the end of the deployed virtual kubelet's log."""
    with managing(inventory, limit) as (_host, manager):
        print(manager.logs(kubelet.NAME, lines), end="")


def _show(told: Mapping[str, object], *, json: bool) -> None:
    if json:
        print(jsons.dumps(told, indent=2))
    else:
        print("\n".join(f"{name:<10} {value if value != '' else '-'}" for name, value in told.items()))
