"""The server's tasks: serve, serve one driver as a sidecar, ask a running server how it is."""

from __future__ import annotations

import json as jsons
import logging
import os
from contextlib import closing

from invoke.context import Context
from invoke.exceptions import Exit

from interlink.client import Client
from interlink.config import older
from interlink.config import settings as config
from interlink.errors import InputError
from interlink.tasks import reaching
from interlink.tasks.command import command

SIDECARS = ("docker", "mock", "shell", "slurm")
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
    from interlink.tasks import serving  # the other commands do without its libraries

    serving.serve(config.load(flags, server=True), serving.SERVER, limit)


@command(
    positional=["driver"],
    iterable=["inventory"],
    help={**_HELP, "driver": f"one of {', '.join(SIDECARS)}", "listen": _PORTS},
)
def sidecar(
    _: Context,
    driver: str,
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
    from interlink.tasks import serving

    serving.serve(config.load(flags), serving.sidecar(driver), limit)


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


def _log(*, verbose: bool) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("interlink").setLevel(logging.DEBUG if verbose else logging.INFO)


def _url(listen: str) -> str:
    return listen if listen.startswith("unix:") else f"http://{listen}"
