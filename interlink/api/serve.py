"""The server process: gunicorn with one worker of many threads.

Whatever holds connections, threads or files of the driver is made in the worker, after the fork, by the
`make` of `Service`. There is never more than one worker: it alone drives hosts.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from interlink.api import listen
from interlink.api.app import Limits, create_app
from interlink.api.contract import Role
from interlink.api.watchdog import Watchdog
from interlink.errors import ConfigError, InterlinkError
from interlink.model.driver import Driver

log = logging.getLogger(__name__)

DRAIN_SECONDS = 30
BAD_INPUT = 2


@dataclass(frozen=True)
class Service:
    """What is served, and where.

    `make` is called in the worker and returns the driver; leaving its context ends everything of it.
    """

    make: Callable[[], AbstractContextManager[Driver]]
    listen: str = "127.0.0.1:3000"
    role: Role = "server"
    threads: int = 64
    token_file: Path | None = None
    limits: Limits = field(default_factory=Limits)


def serve(service: Service) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises ConfigError before anything is started: no such address, port taken, unreadable token file.
    """
    if service.token_file:
        _check_token_file(service.token_file)
    sock = listen.bind(service.listen, has_token=service.token_file is not None)
    print(f"interLink {service.role} listens on {listen.url(sock)}", file=sys.stderr, flush=True)
    master = os.getpid()
    try:
        OneWorker(Application(service, sock.detach())).run()
    except SystemExit as stop:
        if os.getpid() != master:  # the worker ends with the code that tells its master why
            raise
        return BAD_INPUT if stop.code in (Arbiter.WORKER_BOOT_ERROR, Arbiter.APP_LOAD_ERROR) else int(stop.code or 0)
    return 0


def _check_token_file(path: Path) -> None:
    try:
        if not path.read_bytes().strip():
            raise ConfigError("the token file is empty", file=str(path))
    except OSError as error:
        raise ConfigError(f"the token file cannot be read: {error.strerror}", file=str(path)) from error


class OneWorker(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's master, deaf to what would start a second worker.

    The inventory is re-read in place (decisions.md 4), so there is nothing to reload; a second worker
    could not drive the hosts before the first has gone.
    """

    def handle_hup(self) -> None:
        log.info("SIGHUP: nothing to do, changed inventory files are taken over as they change")

    handle_usr2 = handle_ttin = handle_ttou = handle_hup


class Application(BaseApplication):  # type: ignore[misc]
    """The settings of gunicorn, and the WSGI application made in the worker."""

    def __init__(self, service: Service, socket_number: int) -> None:
        self._service, self._socket_number = service, socket_number
        self._running = ExitStack()
        self.watchdog = Watchdog()
        self.header_seconds = service.limits.upload_seconds
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": [f"fd://{self._socket_number}"],
            "workers": 1,
            "worker_class": Worker,
            "threads": self._service.threads,
            "worker_connections": 1000,
            "keepalive": 75,
            "timeout": 120,
            "graceful_timeout": DRAIN_SECONDS,
            "errorlog": "-",
            "loglevel": "warning",
            "worker_exit": _worker_exit,
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # the last one is new in gunicorn 25
                self.cfg.set(name, value)

    def load(self) -> Any:
        service = self._service
        try:
            driver = self._running.enter_context(service.make())
        except InterlinkError as error:
            print(f"interlink: {error}", file=sys.stderr, flush=True)
            sys.exit(Arbiter.APP_LOAD_ERROR)
        return create_app(
            driver, service.role, token_file=service.token_file, limits=service.limits, watchdog=self.watchdog
        )

    def end(self) -> None:
        """End the driver and the watchdog, once no request is left."""
        with self._running:
            self.watchdog.close()


def _worker_exit(server: Any, worker: Any) -> None:
    worker.app.end()


class Worker(ThreadWorker):  # type: ignore[misc]
    """A thread worker that limits the time for headers and ends its streams when it is told to stop."""

    def handle(self, conn: Any) -> Any:
        with self.app.watchdog.deadline(conn.sock, self.app.header_seconds) as conn.headers_due:
            return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        conn.headers_due.ends = math.inf  # they are here
        return super().handle_request(req, conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.app.watchdog.drain()
        super().handle_exit(sig, frame)
