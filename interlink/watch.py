"""One feed of status per host (design.md, decision 5).

A watcher follows its driver's changes, observes what changed in batches, lists everything now and then,
and starts over with back-off when the host is lost. It knows pods by UID alone; what an observation
means is its sink's business.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from interlink.errors import DeadlineExceeded, HostUnreachable, InterlinkError
from interlink.model.driver import HostDriver, HostFacts, Later, Listing

log = logging.getLogger(__name__)
_SPARING = 4.0  # what is in no hurry takes a quarter of the time at most, also on a slow host,
_SPARED = 10.0  # but no step, one that gathers facts perhaps, puts it off by more seconds than this
_READER_SECONDS = 5.0  # for a feed's reader to end once its context is left


@dataclass(frozen=True)
class Intervals:
    """All in seconds."""

    resync: float = 60.0  # between complete listings
    recheck: float = 2.0  # from the listing that misses a pod to the one that decides
    rest: float = 0.25  # between two observations of changes, at most
    gather: float = 1.0  # between two observations that only changes of the kind `Later` ask for
    facts: float = 600.0  # between gatherings of facts
    silence: float = 45.0  # without a sign of life until the feed counts as lost
    backoff: float = 1.0  # before the first reconnect; doubles
    backoff_max: float = 60.0


class Sink(Protocol):
    """Who is told; called from the watcher's thread, one call at a time."""

    def expected(self) -> Collection[str]:
        """Return the pods that are known to be launched on this host and not known to have ended."""
        ...

    def gathered(self, facts: HostFacts) -> None: ...

    def connected(self) -> None:
        """The host answers, and its first complete listing has been handed on."""
        ...

    def observed(self, listing: Listing, *, complete: bool) -> None: ...

    def vanished(self, uids: Collection[str]) -> None:
        """These expected pods were absent from two complete listings in a row."""
        ...

    def disconnected(self, error: InterlinkError) -> None: ...


class Watcher:
    """The thread that keeps one host's observations current."""

    def __init__(
        self,
        name: str,
        driver: HostDriver,
        sink: Sink,
        *,
        intervals: Intervals | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._driver, self._sink = name, driver, sink
        self._intervals = intervals or Intervals()
        self._clock = clock
        self._absences = Absences()
        self._listing_due = self._facts_due = clock()
        self._gather_due = clock()
        self._failures = 0
        self._stopped = threading.Event()
        self._inbox = Inbox()
        self._thread = threading.Thread(target=self.run, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it."""
        self._stopped.set()
        self._inbox.end()

    def join(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; False if a call to the host still hangs."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def run(self) -> None:
        while not self._stopped.is_set():
            self.attempt()

    def attempt(self) -> None:
        """Follow the host until it is lost, report why, and pause."""
        try:
            self._follow()
        except InterlinkError as error:
            self._lost(error)
        except Exception as error:
            log.exception("%s: the watcher failed and starts over", self._name)
            self._lost(HostUnreachable(f"internal error: {error!r}"))

    def step(self, changed: Collection[str]) -> None:
        """Take over what is due: the changed pods, or everything once in a while."""
        now = self._clock()
        if now >= self._facts_due:
            self._sink.gathered(self._driver.facts())
            self._facts_due = now + self._intervals.facts
        if now >= self._listing_due:
            self._resync()
        elif changed:
            self._sink.observed(self._driver.observe(frozenset(changed)), complete=False)

    def _follow(self) -> None:
        self._driver.prepare()
        with self._feed():
            self._facts_due = self._listing_due = self._clock()
            self.step(())
            self._failures = 0
            self._sink.connected()
            while not self._stopped.is_set():
                now = self._clock()
                wait = max(0.0, min(self._listing_due, self._facts_due) - now)
                changed = self._inbox.take(wait, self._intervals.silence, later=max(0.0, self._gather_due - now))
                begun = self._clock()
                self.step(changed)
                taken = self._clock() - begun
                if changed:
                    self._gather_due = begun + max(self._intervals.gather, min(_SPARING * taken, taken + _SPARED))
                self._rest(taken)

    def _rest(self, taken: float) -> None:
        """Let changes gather: while many come, observing takes a third of the time at most."""
        self._stopped.wait(min(2 * taken, self._intervals.rest))

    @contextmanager
    def _feed(self) -> Iterator[None]:
        """Follow the changes in a thread of their own, so that waiting for them can be cut short."""
        inbox = self._inbox = Inbox()
        with self._driver.changes() as changes:
            reader = threading.Thread(target=inbox.fill, args=(changes,), name=f"feed-{self._name}", daemon=True)
            reader.start()
            try:
                yield
            finally:
                inbox.end()
        reader.join(_READER_SECONDS)

    def _resync(self) -> None:
        expected = frozenset(self._sink.expected())  # before the listing: what is launched later may be missing
        listing = self._driver.listing()
        self._sink.observed(listing, complete=True)
        vanished = self._absences.update(expected, listing.pods.keys())
        if vanished:
            self._sink.vanished(vanished)
        pause = self._intervals.recheck if self._absences.suspects else self._intervals.resync
        self._listing_due = self._clock() + pause

    def _lost(self, error: InterlinkError) -> None:
        if self._stopped.is_set():
            return
        self._absences = Absences()
        self._sink.disconnected(error)
        pause = min(self._intervals.backoff * 2**self._failures, self._intervals.backoff_max)
        self._failures = min(self._failures + 1, 16)
        self._stopped.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


class Absences:
    """Who was missing from consecutive complete listings; one miss may be a moment between two states."""

    def __init__(self) -> None:
        self.suspects: frozenset[str] = frozenset()

    def update(self, expected: Collection[str], listed: Collection[str]) -> frozenset[str]:
        """Return those that were expected and absent now and the last time."""
        absent = frozenset(expected) - frozenset(listed)
        vanished = absent & self.suspects
        self.suspects = absent - vanished
        return vanished


class Inbox:
    """Changes that wait to be observed; many that come during one observation become one set."""

    def __init__(self) -> None:
        self._uids: set[str] = set()
        self._later: set[str] = set()
        self._news = threading.Condition()
        self._alive_at = time.monotonic()
        self._error: InterlinkError | None = None
        self._ended = False

    def fill(self, changes: Iterator[frozenset[str]]) -> None:
        """Read a feed to its end."""
        try:
            for uids in changes:
                with self._news:
                    waiting = self._later if isinstance(uids, Later) else self._uids
                    waiting |= uids
                    self._alive_at = time.monotonic()
                    self._news.notify()
            self._fail(HostUnreachable("the feed of changes has ended"))
        except InterlinkError as error:
            self._fail(error)
        except Exception as error:
            log.exception("the feed of changes failed")
            self._fail(HostUnreachable(f"internal error: {error!r}"))

    def take(self, timeout: float, silence: float, later: float = 0.0) -> frozenset[str]:
        """Return what has changed, waiting at most `timeout` seconds for it.

        Changes of the kind `Later` are taken along, and end the wait only after `later` seconds.
        Raises what ended the feed; DeadlineExceeded after `silence` seconds without a sign of life.
        """
        with self._news:
            begun = time.monotonic()
            while not self._uids and self._error is None and not self._ended:
                self._check_silence(silence)
                until = begun + (min(timeout, later) if self._later else timeout)
                if until <= time.monotonic():
                    break
                left = min(until, self._alive_at + silence) - time.monotonic()
                self._news.wait(max(left, 0.01))
            uids = frozenset(self._uids | self._later)
            if self._error is not None and not uids:
                raise self._error
            self._uids, self._later = set(), set()
            return uids

    def end(self) -> None:
        """Wake whoever waits; nothing more will be taken."""
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _check_silence(self, silence: float) -> None:
        quiet = time.monotonic() - self._alive_at
        if quiet > silence:
            raise DeadlineExceeded(f"the host has not given a sign of life for {quiet:.0f} seconds")

    def _fail(self, error: InterlinkError) -> None:
        with self._news:
            self._error = error
            self._news.notify()
