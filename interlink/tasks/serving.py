"""Listen and serve: what only the commands that become a server import."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from invoke.exceptions import Exit

from interlink import compose
from interlink.api import contract
from interlink.api import serve as api
from interlink.api.app import Limits
from interlink.compose import Role
from interlink.config import settings as config
from interlink.model.driver import Driver

SERVER = compose.SERVER


def sidecar(driver: str) -> Role:
    """Return the role of a process that serves one driver."""
    return Role(f"sidecar-{driver}", driver=driver)


def serve(settings: config.Settings, role: Role, limit: str) -> None:
    """Serve until stopped; ends with the server's exit code if it is not 0. ConfigError before anything starts."""
    if settings.token_file:
        config.read_secret(settings.token_file, "token file")
    make: Callable[[], AbstractContextManager[Driver]]
    kind: contract.Role = "sidecar" if role.driver else "server"
    if settings.sidecar and not role.driver:
        make, kind = partial(compose.forwarder, settings.sidecar), "forwarder"
        print(f"interlink: pods are passed on to the plugin at {settings.sidecar}", file=sys.stderr)
    else:
        compose.read_inventory(
            settings, limit=limit, driver=role.driver
        )  # its mistakes are told before anything starts
        make = partial(compose.dispatcher, settings, role, limit=limit)
    service = api.Service(
        make=make,
        listen=settings.listen,
        role=kind,
        threads=settings.threads,
        token_file=settings.token_file,
        limits=Limits(body=settings.body_limit, streams=min(settings.streams, max(1, settings.threads * 3 // 4))),
    )
    if code := api.serve(service):
        raise Exit(code=code)
