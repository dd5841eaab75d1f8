"""Times and limits of the SSH executor, in one place."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from interlink.remote.credentials import Renewal
from interlink.remote.watchdog import Watchdog


@dataclass(frozen=True)
class Tuning:
    """Seconds, unless said otherwise. The defaults suit hosts near and far; tests shorten them."""

    open_timeout: float = 30.0
    """For one connection: name look-up, TCP, handshake and login of every hop."""
    session_timeout: float = 30.0
    """For opening one channel and greeting the shell in it; more than a ping's time, which tells a dead host from a
    busy one: giving up costs what else runs on the connection."""
    ping_interval: float = 15.0
    ping_timeout: float = 10.0
    """Without an answer for so long, the connection is given up."""
    grace: int = 10
    """How long a command may still run on the host once its connection is lost."""
    patience: float = 3.0
    """How long a call may block in a send after its deadline before the connection is given up."""
    backoff_first: float = 1.0
    backoff_most: float = 60.0
    refused_first: float = 60.0
    """Back-off after a refused login: repeating it can get us locked out."""
    refused_most: float = 900.0
    handshakes: int = 8
    """Handshakes at one time over all hosts (sshd's MaxStartups is 10, and each costs CPU)."""
    links: int = 4
    """Most connections to one host: the second and later carry streams that found no session."""
    renew_margin: float = 600.0
    """A certificate that expires within so long is renewed."""

    @property
    def silence(self) -> int:
        """After so long without a ping, the host ends what we left there."""
        return max(2, int(4 * (self.ping_interval + self.ping_timeout)))


@dataclass(frozen=True)
class Limits:
    """What the host allows: `sessions` is its sshd's MaxSessions, `per_minute` our cap on new connections."""

    sessions: int = 10
    per_minute: int = 30

    @property
    def shells(self) -> int:
        """Persistent shells for `run`; one session is the guardian's, the rest is for streams."""
        return max(1, (self.sessions - 1) * 2 // 3)

    @property
    def streams(self) -> int:
        return max(0, self.sessions - 1 - self.shells)


@dataclass(frozen=True)
class Shared:
    """What all connections of a pool share: the watchdog, hooks that have run, and the cap on handshakes."""

    watchdog: Watchdog = field(default_factory=Watchdog)
    renewal: Renewal = field(default_factory=Renewal)
    handshakes: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(Tuning.handshakes))
