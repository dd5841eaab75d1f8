"""The server's tasks: serve, serve one driver as a sidecar, ask a running server how it is."""

from __future__ import annotations

import json as jsons
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial

from invoke.context import Context
from invoke.exceptions import Exit

from interlink import compose
from interlink.api import serve as api
from interlink.api.app import Limits
from interlink.client import Client
from interlink.config import older
from interlink.config import settings as config
from interlink.errors import InputError
from interlink.model.driver import Driver
from interlink.tasks import reaching
from interlink.tasks.command import command

SIDECARS = ("docker", "mock", "shell")
_HELP = {
    "inventory": reaching.HELP["inventory"],
    "limit": reaching.HELP["limit"],
    "listen": "HOST:PORT or unix:///PATH; beyond this machine only with a token file",
    "state-dir": "directory of everything that is kept",
    "config-file": "settings file, instead of interlink.yaml in the usual places",
    "token-file": "file with the bearer tokens that are accepted, one a line",
    "threads": "threads that answer requests",
    "verbose": "log every request",
}


_PORTS = "HOST:PORT or unix:///PATH; 127.0.0.1 and $SIDECARPORT by default, else 4000, for Slurm 4001"


@command(iterable=["inventory"], help={**_HELP, "ledger": "database URL of the ledger, instead of a file in the state"})
def serve(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    listen: str = "",
    state_dir: str = "",
    config_file: str = "",
    ledger: str = "",
    token_file: str = "",
    threads: int = 0,
    verbose: bool = False,
) -> None:
    """Serve the hosts of the inventory over REST, until stopped."""
    flags = {
        "inventory": inventory,
        "listen": listen,
        "state_dir": state_dir,
        "config_file": config_file,
        "ledger": ledger,
        "token_file": token_file,
        "threads": threads or None,
    }
    _log(verbose=verbose)
    _serve(config.load(flags, server=True), compose.SERVER, limit)


@command(
    positional=["driver"],
    iterable=["inventory"],
    help={**_HELP, "driver": f"one of {', '.join(SIDECARS)}", "listen": _PORTS},
)
def sidecar(
    _: Context,
    driver: str = "",
    inventory: list[str] | None = None,
    limit: str = "",
    listen: str = "",
    state_dir: str = "",
    config_file: str = "",
    token_file: str = "",
    threads: int = 0,
    verbose: bool = False,
) -> None:
    """Serve one driver to any interLink server, as a plugin; without a name, the one of $SIDECARSERVICE."""
    _log(verbose=verbose)
    file = config.older_file(config_file, os.environ)
    stated = older.load(file, os.environ)
    driver = driver or stated.sidecar_service
    if driver not in SIDECARS:
        raise InputError(f"no sidecar {driver!r}; there are {', '.join(SIDECARS)}")
    flags = {
        "inventory": inventory,
        "listen": listen or stated.sidecar_listen(driver),  # never the settings': a server on this machine has those
        "state_dir": state_dir,
        "config_file": "" if file else config_file,
        "token_file": token_file,
        "threads": threads or None,
    }
    role = compose.Role(f"sidecar-{driver}", driver=driver)
    _serve(config.load(flags), role, limit)


@command(
    positional=[],
    help={"server": reaching.HELP["server"], "token-file": reaching.HELP["token-file"]},
)
def ready(_: Context, server: str = "", token_file: str = "") -> None:
    """Ask a running server what works and what does not; end with 1 if it is not ready."""
    settings = config.load({"token_file": token_file})
    with closing(Client(server or _url(settings.listen), token_file=settings.token_file)) as client:
        state = client.ready()
    print(jsons.dumps(state, indent=2))
    if not state.get("ok"):
        raise Exit(code=1)


def _serve(settings: config.Settings, role: compose.Role, limit: str) -> None:
    if settings.token_file:
        config.read_secret(settings.token_file, "token file")
    make: Callable[[], AbstractContextManager[Driver]]
    if settings.sidecar and not role.driver:
        make = partial(compose.forwarder, settings.sidecar)
        print(f"interlink: pods are passed on to the plugin at {settings.sidecar}", file=sys.stderr)
    else:
        compose.read_inventory(
            settings, limit=limit, driver=role.driver
        )  # its mistakes are told before anything starts
        make = partial(compose.dispatcher, settings, role, limit=limit)
    service = api.Service(
        make=make,
        listen=settings.listen,
        role="sidecar" if role.driver else "server",
        threads=settings.threads,
        token_file=settings.token_file,
        limits=Limits(body=settings.body_limit, streams=min(settings.streams, max(1, settings.threads * 3 // 4))),
    )
    if code := api.serve(service):
        raise Exit(code=code)


def _log(*, verbose: bool) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("interlink").setLevel(logging.DEBUG if verbose else logging.INFO)


def _url(listen: str) -> str:
    return listen if listen.startswith("unix:") else f"http://{listen}"
