"""Which Composition a command speaks to: a server by `--server`, else one embedded in this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import FrameType

from interlink.client import Client, ContractClient
from interlink.config import settings as config
from interlink.errors import InputError
from interlink.model.driver import Composition, PodRecord
from interlink.tasks.running.session import Runner

HELP = {
    "inventory": "inventory file or directory, or host names separated by commas; may be repeated",
    "limit": "only hosts of this pattern, e.g. 'gpu:!node07'",
    "server": "URL of a running interLink server, e.g. http://127.0.0.1:3000 or unix:///run/interlink.sock",
    "token-file": "file with the server's bearer token",
}


@contextmanager
def composition(
    server: str, *, inventory: Sequence[str] = (), limit: str = "", token_file: str = "", strict: bool = False
) -> Iterator[Composition]:
    """Open what `server` names, or a dispatcher on the inventory with the state of `interlink run`."""
    settings = config.load({"inventory": list(inventory), "token_file": token_file})
    if server:
        if inventory or limit:
            raise InputError("--server and --inventory exclude each other: the server has an inventory of its own")
        with closing(Client(server, token_file=settings.token_file)) as client:
            yield client
        return
    from interlink import compose  # what talks to a server does without the ledger's and SSH's libraries

    role = compose.Role(compose.RUN.name, scope=compose.RUN.scope, strict=strict)
    with compose.dispatcher(settings, role, limit=limit) as dispatcher:
        yield dispatcher


@contextmanager
def runner(
    server: str, *, inventory: Sequence[str] = (), limit: str = "", token_file: str = "", strict: bool = False
) -> Iterator[Runner]:
    """Open the same for a run, which any server will do for that speaks the contract."""
    with composition(server, inventory=inventory, limit=limit, token_file=token_file, strict=strict) as driver:
        if not isinstance(driver, Client) or driver.is_ours():
            yield driver
            return
    from interlink.tasks.running.polled import Polled  # what resolves variables is loaded where there is need

    settings = config.load({"token_file": token_file})
    with closing(ContractClient(server, token_file=settings.token_file)) as client:
        yield Polled(client, server)


def flags(driver: Runner, server: str, *, inventory: Sequence[str] = (), token_file: str = "") -> list[str] | None:
    """Return what the tasks on pods need to speak to the same; None for a server that has only the contract."""
    if server and not isinstance(driver, Client):
        return None
    places = [word for place in inventory for word in ("--inventory", place)]
    return [*(["--server", server] if server else places), *(["--token-file", token_file] if token_file else [])]


def find(driver: Composition, name: str) -> PodRecord:
    """Return the pod of a UID, a name or namespace/name; InputError if there is none, or more than one."""
    records = driver.pods()
    found = [r for r in records if name in (r.uid, r.name, f"{r.namespace}/{r.name}")]
    if len(found) == 1:
        return found[0]
    if not found:
        known = ", ".join(sorted(r.name for r in records)) or "there are none"
        raise InputError(f"no pod {name!r}; pods: {known}")
    uids = ", ".join(r.uid for r in found)
    raise InputError(f"{name!r} stands for {len(found)} pods; name one by its UID: {uids}")


@contextmanager
def polite_signals() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that a stopped run cleans up behind itself."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {s: signal.signal(s, interrupt) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
