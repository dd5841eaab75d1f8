"""The composition root: settings and inventory in, a running Dispatcher out. Nothing else wires parts together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interlink.client import ContractClient
from interlink.config import clusters
from interlink.config import inventory as inventories
from interlink.config import settings as config
from interlink.config.settings import Settings
from interlink.dispatcher import Dispatcher
from interlink.dispatcher import Settings as Dispatching
from interlink.dispatcher.claims import Scope
from interlink.drivers.docker import DockerDriver
from interlink.drivers.mock import MockDriver
from interlink.drivers.shell import ShellDriver
from interlink.drivers.slurm import SlurmDriver
from interlink.errors import ConfigError, InterlinkError
from interlink.ledger import FileLeases, FilePayloads, Leases, Ledger, Payloads, PostgresLeases, TablePayloads
from interlink.model.driver import HostDriver
from interlink.model.host import Host, Inventory, workers
from interlink.remote import facts
from interlink.remote.connection import Connection
from interlink.remote.pool import Pool

log = logging.getLogger(__name__)
INVENTORY_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Role:
    """Which process this is: its subdirectory of the state, what it leases, the one driver it serves."""

    name: str
    scope: Scope = "host"
    driver: str = ""  # "" for whatever the inventory says
    strict: bool = False


SERVER = Role("serve")
RUN = Role("run", scope="pod")


def known_hosts(settings: Settings) -> Path:
    """Return our own file of pinned host keys."""
    return settings.state_dir / "known_hosts"


def read_inventory(settings: Settings, *, limit: str = "", driver: str = "") -> Inventory:
    """Read the inventory; with `driver`, every host that leaves the choice open gets that driver.

    ConfigError without any host, and for a host that says another driver.
    """
    inventory = clusters.merged(workers(inventories.load(settings.inventory, limit)))
    if not inventory.hosts:
        raise ConfigError("the inventory has no host for pods, only the server's own machine; add hosts beside it")
    if not driver:
        return inventory
    hosts = {name: _with_driver(host, driver) for name, host in inventory.hosts.items()}
    return replace(inventory, hosts=hosts)


def _with_driver(host: Host, driver: str) -> Host:
    if host.driver not in ("auto", driver):
        raise ConfigError(f"host {host.name} has interlink_driver {host.driver}, this sidecar serves {driver}")
    return replace(host, vars={**host.vars, "interlink_driver": driver})


@contextmanager
def dispatcher(settings: Settings, role: Role = SERVER, *, limit: str = "") -> Iterator[Dispatcher]:
    """Run a dispatcher on the inventory of the settings, until the context is left.

    Call it after any fork. Raises ConfigError for mistakes in inventory and settings.
    """
    inventory = read_inventory(settings, limit=limit, driver=role.driver)
    state = config.private_directory(settings.state_dir / role.name)
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(_ledger(settings, state)))
        leases, payloads = _beside(ledger, settings, state)
        stack.callback(leases.close)
        pool = stack.enter_context(Pool(known_hosts(settings)))
        maker = Maker(pool, settings.server_id or ledger.server_id())
        running = Dispatcher(
            inventory.hosts,
            ledger=ledger,
            payloads=payloads,
            leases=leases,
            make_driver=maker.driver,
            settings=Dispatching(scope=role.scope, strict=role.strict),
        )
        stack.callback(running.close)
        running.start()
        if role.scope == "host":
            reload = _Reload(
                inventory, lambda: read_inventory(settings, limit=limit, driver=role.driver), running.reload
            )
            stack.callback(reload.stop)
        yield running


def take_over(settings: Settings, server_id: str) -> None:
    """Let the pods of another server id be this server's from its next start on. InputError if it has pods itself."""
    if settings.server_id:
        raise ConfigError(f"the settings say server_id {settings.server_id}: change that to {server_id} instead")
    with closing(_ledger(settings, config.private_directory(settings.state_dir / SERVER.name))) as ledger:
        ledger.take_over(server_id)


def _ledger(settings: Settings, state: Path) -> Ledger:
    return Ledger(settings.ledger or f"sqlite:///{state}/ledger.db")


@contextmanager
def forwarder(url: str) -> Iterator[ContractClient]:
    """Give a driver that passes everything on to another's plugin."""
    client = ContractClient(url, "plugin")
    try:
        yield client
    finally:
        client.close()


def _beside(ledger: Ledger, settings: Settings, state: Path) -> tuple[Leases, Payloads]:
    """Return leases and payloads that fit the ledger: files beside SQLite, the database itself otherwise."""
    if ledger.path is not None:
        return FileLeases(state / "lease"), FilePayloads(state / "payload")
    key_file = settings.key_file or settings.state_dir / "payload.key"
    return PostgresLeases(ledger, settings.server_id), TablePayloads(ledger, key_file)


class Maker:
    """Makes the driver of a host; `auto` is settled by what works there, once."""

    def __init__(self, pool: Pool, server_id: str) -> None:
        self._pool, self._server_id = pool, server_id
        self._by_name: dict[str, Callable[[Host, Connection], HostDriver]] = {
            "docker": lambda host, connection: DockerDriver(host, connection, server_id),
            "shell": lambda host, connection: ShellDriver(host, connection, server_id),
            "slurm": lambda host, connection: SlurmDriver(host, connection, server_id),
        }

    def driver(self, host: Host) -> HostDriver:
        """Return a driver for the host; Unavailable while `auto` cannot be settled, ConfigError for an unknown one."""
        if host.driver == "mock":
            return MockDriver(host, self._server_id)
        connection = self._pool.connection(host)
        host = settle(host, connection)
        make = self._by_name.get(host.driver)
        if make is None:
            known = ", ".join(sorted([*self._by_name, "mock"]))
            raise ConfigError(f"host {host.name}: interlink_driver {host.driver} is not known; known are {known}")
        return make(host, connection)


def settle(host: Host, connection: Connection) -> Host:
    """Return the host with `auto` replaced by the first that works of docker, podman, and at last shell.

    The shell driver takes Apptainer where it is, unless the inventory names a runtime.
    """
    if host.driver != "auto":
        return host
    found = facts.gather(host, connection)
    if found.engine:
        chosen: dict[str, Any] = {"interlink_driver": "docker", "interlink_engine": found.engine}
    else:
        runtimes = (name for name in ("apptainer", "singularity") if name in found.raw.get("tools", ()))
        chosen = {"interlink_driver": "shell", "interlink_runtime": next(runtimes, "process")}
        chosen |= {name: value for name, value in host.vars.items() if name == "interlink_runtime"}
    return replace(host, vars={**host.vars, **chosen})


class _Reload:
    """Takes a changed inventory over; a mistake in it is logged once and the old one stays in force."""

    def __init__(self, inventory: Inventory, read: Callable[[], Inventory], take: Callable[[Any], None]) -> None:
        self._read, self._take = read, take
        self._seen = _stamp(inventory)
        self._inventory = inventory
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="inventory", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._ended.wait(INVENTORY_POLL_SECONDS):
            self.step()

    def step(self) -> None:
        """Look at the files once."""
        stamp = _stamp(self._inventory)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            inventory = self._read()
        except InterlinkError as error:
            log.error("the changed inventory is not taken over: %s", error)
            return
        self._inventory = inventory
        self._seen = _stamp(inventory)
        self._take(inventory.hosts)
        log.info("inventory taken over: %d hosts", len(inventory.hosts))


def _stamp(inventory: Inventory) -> tuple[tuple[str, int, int] | None, ...]:
    return tuple(_file_stamp(Path(name)) for name in inventory.files)


def _file_stamp(path: Path) -> tuple[str, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path), status.st_mtime_ns, status.st_size
