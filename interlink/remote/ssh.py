"""SshConnection: one host over SSH."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from interlink.remote.dialling import Dialler
from interlink.remote.executor import ShellConnection
from interlink.remote.route import Route
from interlink.remote.tuning import Limits, Shared, Tuning


class SshConnection(ShellConnection):
    """A `Connection` over SSH; `credential_command` renews a short-lived credential before it is needed."""

    def __init__(
        self,
        route: Route,
        *,
        limits: Limits | None = None,
        credential_command: Sequence[str] = (),
        tuning: Tuning | None = None,
        shared: Shared | None = None,
    ) -> None:
        limits, tuning = limits or Limits(), tuning or Tuning()
        dialler = partial(Dialler, route, limits, tuple(credential_command), tuning)
        super().__init__(route.name, dialler, limits, tuning, shared)
