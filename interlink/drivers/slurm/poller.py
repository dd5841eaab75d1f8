"""When a cluster is asked, and who is told: one command for all pods, and never more often than allowed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from interlink.drivers.slurm.memory import Memory
from interlink.drivers.slurm.states import parse_history, parse_queue
from interlink.drivers.supervised.bundles import Bundles

_SIGN_OF_LIFE = 5.0  # seconds between two pieces of a feed
_STIRRED = 2.0  # idle intervals for which a create or a delete lets changes be expected


@dataclass
class _Feed:
    uids: set[str] = field(default_factory=set)
    closed: bool = False


class Poller:
    """The one who asks; every caller gets by with what the last tick brought, or waits for the next. Thread-safe."""

    def __init__(self, bundles: Bundles, memory: Memory, *, idle: float, least: float) -> None:
        self._bundles, self._memory = bundles, memory
        self._least, self._idle = least, max(idle, least)
        self._ticking = threading.Lock()
        self._news = threading.Condition()
        self._feeds: list[_Feed] = []
        self._begun = self._full_begun = -math.inf
        self._busy_until = -math.inf

    def stir(self) -> None:
        """Expect changes for a while."""
        with self._news:
            self._busy_until = max(self._busy_until, time.monotonic() + _STIRRED * self._idle)
            self._news.notify_all()

    def tell(self, uid: str) -> None:
        """Let every feed know of a pod that we have changed ourselves."""
        self._tell(frozenset((uid,)))

    def refresh(self) -> None:
        """Make sure that what is known is not older than the shortest interval allowed."""
        with self._ticking:
            if time.monotonic() >= self._begun + self._least:
                self._tick(full=not math.isfinite(self._full_begun))

    def full(self) -> None:
        """Read everything anew, once that is allowed."""
        with self._ticking:
            pause = self._begun + self._least - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self._tick(full=True)

    @contextmanager
    def feed(self) -> Iterator[Iterator[frozenset[str]]]:
        """Follow the cluster: sets of UIDs, empty ones as signs of life; whoever reads it does the asking."""
        feed = _Feed()
        with self._news:
            self._feeds.append(feed)
        try:
            yield self._follow(feed)
        finally:
            with self._news:
                feed.closed = True
                self._feeds.remove(feed)
                self._news.notify_all()

    def _follow(self, feed: _Feed) -> Iterator[frozenset[str]]:
        while True:
            with self._news:
                if not feed.uids:
                    self._news.wait(max(min(self._due() - time.monotonic(), _SIGN_OF_LIFE), 0.0))
                if feed.closed:
                    return
            if time.monotonic() >= self._due():
                with self._ticking:
                    if time.monotonic() >= self._due():
                        self._tick(full=not math.isfinite(self._full_begun))
            with self._news:
                uids, feed.uids = frozenset(feed.uids), set()
            yield uids

    def _due(self) -> float:
        busy = time.monotonic() < self._busy_until or self._memory.settling
        return self._begun + (self._least if busy and not self._memory.trouble else self._idle)

    def _tick(self, *, full: bool) -> None:
        """Ask the cluster; the lock is held."""
        begun, before = time.monotonic(), self._begun
        step = self._memory.begin()
        self._begun = begun
        minutes = "all" if full else str(math.ceil((begun - before) / 60) + 2)
        text = self._bundles.call("il_tick", minutes).text
        if full:
            self._full_begun = begun
        was = self._memory.trouble
        changed = self._memory.absorb(step, text, parse_queue(text.split("\n")))
        changed |= self._look_up() | self._write_down()
        if self._memory.trouble != was:
            changed |= self._memory.live().keys()
        if changed:
            self.stir()
            self._tell(changed)

    def _look_up(self) -> frozenset[str]:
        """Ask Slurm's history for all jobs at once that its queue does not show."""
        missing = self._memory.missing()
        if not missing:
            return frozenset()
        text = self._bundles.call("il_history", *sorted(set(missing.values())), timeout=120).text
        return self._memory.learn(parse_history(text.split("\n")), missing)

    def _write_down(self) -> frozenset[str]:
        """Write down all ends at once that nobody else will tell."""
        verdicts = self._memory.verdicts()
        if not verdicts:
            return frozenset()
        words = [word for v in verdicts for word in (v.uid, v.reason, " ".join(v.message.split()))]
        return self._memory.read(self._bundles.call("il_lose", *words, timeout=120).text)

    def _tell(self, uids: frozenset[str]) -> None:
        with self._news:
            for feed in self._feeds:
                feed.uids |= uids
            self._news.notify_all()
