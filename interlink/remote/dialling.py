"""From a route to a started link: pacing, credentials, the cap on handshakes, the watchdog."""

from __future__ import annotations

import threading

from interlink.errors import HostUnreachable
from interlink.remote import background, credentials
from interlink.remote.link import Link
from interlink.remote.opening import Opener
from interlink.remote.pacing import Pacing
from interlink.remote.route import Route
from interlink.remote.tuning import Limits, Shared, Tuning


class Dialler:
    """Opens links to one host, as often as pacing allows. Thread-safe."""

    def __init__(self, route: Route, limits: Limits, command: tuple[str, ...], tuning: Tuning, shared: Shared) -> None:
        self._route, self._command, self._tuning, self._shared = route, command, tuning, shared
        self._pacing = Pacing(route.name, limits.per_minute, tuning)
        self._keys: list[str] = []
        self._lock = threading.Lock()
        self._openers: set[Opener] = set()
        self._stopped = False

    def admit(self) -> None:
        """Count an attempt, or raise HostUnreachable while it is too early for one."""
        with self._lock:
            self._pacing.admit(self._stamp())

    def dial(self) -> Link:
        """Open and start a link; HostUnreachable or its children."""
        try:
            link = self._dial()
        except HostUnreachable as error:
            with self._lock:
                self._pacing.failed(error, self._stamp())
            raise
        with self._lock:
            self._pacing.succeeded()
        return link

    def stop(self) -> None:
        """Cut off what is being opened."""
        self._stopped = True
        for opener in list(self._openers):
            opener.abort()

    def _dial(self) -> Link:
        if self._command:
            self._keys = self._route.key_files()
            self._renew()
        opener = Opener(self._route, self._tuning)
        self._openers.add(opener)
        try:
            with (
                self._shared.handshakes,
                self._shared.watchdog.guard(self._tuning.open_timeout + 1, opener.abort),
            ):
                if self._stopped:
                    raise HostUnreachable(f"host {self._route.name}: the connection was closed")
                opened = opener.open()
        finally:
            self._openers.discard(opener)
        link = Link(self._route.name, opened, self._tuning, self._shared.watchdog)
        link.on_ping = self._renew_if_due
        link.start()
        return link

    def _renew(self) -> None:
        if self._command:
            self._shared.renewal.ensure(self._route.name, self._command, self._keys, self._tuning.renew_margin)

    def _renew_if_due(self) -> None:
        """Renew in the background: a hook may need what it renews, so it must not wait for the next login."""
        if self._command and self._shared.renewal.due(self._command, self._keys, self._tuning.renew_margin):
            background.start(self._renew, f"ssh-renew-{self._route.name}")

    def _stamp(self) -> tuple[int, ...]:
        return credentials.stamp(self._route.watched_files())
