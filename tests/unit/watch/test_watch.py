"""The watcher: what it asks a host for, and what it does when the host is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pytest

from interlink.errors import ConnectionLost, DeadlineExceeded, EngineUnavailable, HostUnreachable, InterlinkError
from interlink.model.driver import HostFacts, Later, Listing
from interlink.model.status import PodStatus
from interlink.watch import Absences, Inbox, Intervals, Watcher

DEADLINE = 120.0  # seconds, for what takes a fraction of one
FAST = Intervals(backoff=0.01, backoff_max=0.02, silence=DEADLINE)


def wait(look: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + DEADLINE
    while not look():
        assert time.monotonic() < until, what
        time.sleep(0.005)


class FakeDriver:
    """A host whose feed the test writes; it records what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.pods: set[str] = set()
        self.fail: dict[str, InterlinkError] = {}
        self.observing = threading.Event()
        self.observing.set()
        self._news: list[frozenset[str] | InterlinkError | None] = []
        self._left = False
        self._changed = threading.Condition()

    def tell(self, news: frozenset[str] | InterlinkError | None) -> None:
        """Send a change, break the feed with an error, or end it (None)."""
        with self._changed:
            self._news.append(news)
            self._changed.notify()

    def prepare(self) -> None:
        self._ask("prepare")

    def facts(self) -> HostFacts:
        self._ask("facts")
        return HostFacts(cpus=1.0)

    def listing(self) -> Listing:
        self._ask("listing")
        return self._listing(self.pods)

    def observe(self, uids: Collection[str]) -> Listing:
        self._ask(set(uids))
        assert self.observing.wait(DEADLINE)
        return self._listing(set(uids) & self.pods)

    @contextmanager
    def changes(self) -> Iterator[Iterator[frozenset[str]]]:
        self._ask("changes")
        self._left = False
        try:
            yield self._follow()
        finally:
            with self._changed:
                self._left = True
                self._changed.notify_all()

    def _follow(self) -> Iterator[frozenset[str]]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._news or self._left)
                if self._left:
                    return
                news = self._news.pop(0)
            if news is None:
                return
            if isinstance(news, InterlinkError):
                raise news
            yield news

    def _ask(self, what: Any) -> None:
        self.asked.append(what)
        if isinstance(what, str) and what in self.fail:
            raise self.fail.pop(what)

    @staticmethod
    def _listing(uids: Collection[str]) -> Listing:
        return Listing(datetime.now(timezone.utc), {uid: PodStatus(uid) for uid in uids})


@dataclass
class Told:
    """A sink that keeps everything."""

    expecting: set[str] = field(default_factory=set)
    said: list[Any] = field(default_factory=list)

    def expected(self) -> Collection[str]:
        return self.expecting

    def gathered(self, facts: HostFacts) -> None:
        self.said.append(("facts", facts.cpus))

    def connected(self) -> None:
        self.said.append("connected")

    def observed(self, listing: Listing, *, complete: bool) -> None:
        self.said.append(("all" if complete else "some", set(listing.pods)))

    def vanished(self, uids: Collection[str]) -> None:
        self.said.append(("vanished", set(uids)))

    def disconnected(self, error: InterlinkError) -> None:
        self.said.append(type(error))


@dataclass
class Watch:
    driver: FakeDriver
    told: Told
    watcher: Watcher


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    """A running watcher; it must end when it is told to."""
    driver, told = FakeDriver(), Told()
    watcher = Watcher("h", driver, told, intervals=getattr(request, "param", FAST))  # type: ignore[arg-type]
    watcher.start()
    yield Watch(driver, told, watcher)
    watcher.stop()
    assert watcher.join(DEADLINE)
    assert not [t for t in threading.enumerate() if t.name == "feed-h"]


def test_it_follows_before_it_lists(watch: Watch) -> None:
    wait(lambda: "connected" in watch.told.said, "connected")
    assert watch.driver.asked == ["prepare", "changes", "facts", "listing"]
    assert watch.told.said == [("facts", 1.0), ("all", set()), "connected"]


def test_changes_are_observed_and_signs_of_life_cost_nothing(watch: Watch) -> None:
    watch.driver.pods = {"a", "b"}
    wait(lambda: "connected" in watch.told.said, "connected")
    watch.driver.tell(frozenset())
    watch.driver.tell(frozenset({"a"}))
    wait(lambda: ("some", {"a"}) in watch.told.said, "a is observed")
    assert watch.driver.asked[4:] == [{"a"}]


def test_many_changes_during_an_observation_become_one(watch: Watch) -> None:
    watch.driver.pods = {f"u{i}" for i in range(50)}
    wait(lambda: "connected" in watch.told.said, "connected")
    watch.driver.observing.clear()
    for i in range(50):
        watch.driver.tell(frozenset({f"u{i}"}))
    wait(lambda: not watch.driver._news, "the feed is read")
    watch.driver.observing.set()
    seen: set[str] = set()
    wait(lambda: seen.update(*(s[1] for s in watch.told.said if s[0] == "some")) or len(seen) == 50, "all are seen")
    assert len(watch.driver.asked[4:]) <= 3


@pytest.mark.parametrize("end", [ConnectionLost("cut"), None])
def test_a_lost_feed_is_reported_and_followed_again(watch: Watch, end: InterlinkError | None) -> None:
    wait(lambda: "connected" in watch.told.said, "connected")
    watch.driver.tell(end)
    wait(lambda: watch.told.said.count("connected") == 2, "connected again")
    assert watch.told.said[3] is (ConnectionLost if end else HostUnreachable)
    assert watch.driver.asked[4:8] == ["prepare", "changes", "facts", "listing"]


@pytest.mark.parametrize("what", ["prepare", "changes", "facts", "listing"])
def test_whatever_fails_is_tried_again(what: str) -> None:
    driver, told = FakeDriver(), Told()
    driver.fail[what] = EngineUnavailable("no")
    watcher = Watcher("h", driver, told, intervals=FAST)  # type: ignore[arg-type]
    watcher.start()
    wait(lambda: "connected" in told.said, "connected")
    watcher.stop()
    assert watcher.join(DEADLINE)
    assert EngineUnavailable in told.said


def test_a_defect_in_a_driver_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    driver, told = FakeDriver(), Told()
    driver.fail["listing"] = RuntimeError("defect")  # type: ignore[assignment]
    watcher = Watcher("h", driver, told, intervals=FAST)  # type: ignore[arg-type]
    watcher.start()
    wait(lambda: "connected" in told.said, "connected")
    watcher.stop()
    assert watcher.join(DEADLINE)
    assert "defect" in caplog.text


@pytest.mark.parametrize("watch", [Intervals(silence=0.05, backoff=0.01)], indirect=True)
def test_a_silent_host_counts_as_lost(watch: Watch) -> None:
    wait(lambda: DeadlineExceeded in watch.told.said, "the silence is noticed")


@pytest.mark.parametrize("watch", [Intervals(resync=0.01, recheck=0.01)], indirect=True)
def test_a_vanished_pod_is_reported_after_two_listings(watch: Watch) -> None:
    wait(lambda: "connected" in watch.told.said, "connected")
    watch.told.expecting = {"gone"}
    wait(lambda: ("vanished", {"gone"}) in watch.told.said, "it is reported")


def test_resync_and_facts_come_when_they_are_due() -> None:
    driver, told, now = FakeDriver(), Told(), [0.0]
    watcher = Watcher("h", driver, told, intervals=Intervals(), clock=lambda: now[0])  # type: ignore[arg-type]
    watcher.step({"a"})
    assert driver.asked == ["facts", "listing"]
    watcher.step({"a"})
    watcher.step(())
    assert driver.asked[2:] == [{"a"}]
    now[0] = 60.0
    watcher.step({"a"})
    assert driver.asked[3:] == ["listing"]
    now[0] = 119.0
    watcher.step(())
    assert driver.asked[4:] == []
    now[0] = 600.0
    watcher.step(())
    assert driver.asked[4:] == ["facts", "listing"]


def test_a_missing_pod_is_looked_for_soon() -> None:
    driver, told, now = FakeDriver(), Told(expecting={"a"}), [0.0]
    watcher = Watcher("h", driver, told, intervals=Intervals(), clock=lambda: now[0])  # type: ignore[arg-type]
    watcher.step(())
    now[0] = 2.0
    watcher.step(())
    assert driver.asked == ["facts", "listing", "listing"]
    assert told.said[-1] == ("vanished", {"a"})


ABSENCES = {
    "there": ([({"a"}, {"a"}), ({"a"}, {"a"})], [set(), set()]),
    "absent once": ([({"a"}, set()), ({"a"}, {"a"}), ({"a"}, set())], [set(), set(), set()]),
    "absent twice": ([({"a"}, set()), ({"a"}, set())], [set(), {"a"}]),
    "absent twice is told once": ([({"a"}, set()), ({"a"}, set()), ({"a"}, set())], [set(), {"a"}, set()]),
    "not expected any more": ([({"a"}, set()), (set(), set())], [set(), set()]),
    "never expected": ([(set(), {"b"}), (set(), set())], [set(), set()]),
}


@pytest.mark.parametrize("case", ABSENCES)
def test_absences(case: str) -> None:
    listings, vanished = ABSENCES[case]
    absences = Absences()
    assert [set(absences.update(expected, listed)) for expected, listed in listings] == vanished


def test_an_inbox_hands_over_what_came_before_its_end() -> None:
    inbox = Inbox()
    inbox.fill(iter([frozenset({"a"}), frozenset({"b"})]))
    assert inbox.take(0.0, DEADLINE) == {"a", "b"}
    with pytest.raises(HostUnreachable):
        inbox.take(0.0, DEADLINE)


def test_what_may_wait_is_taken_along_with_what_may_not() -> None:
    inbox = Inbox()
    inbox.fill(iter([Later({"a"}), Later({"b"}), frozenset({"c"}), frozenset()]))
    assert inbox.take(0.0, DEADLINE, DEADLINE) == {"a", "b", "c"}


def test_what_may_wait_ends_a_wait_only_when_it_is_due() -> None:
    inbox, gate = Inbox(), threading.Event()

    def news() -> Iterator[frozenset[str]]:
        yield Later({"a"})
        assert gate.wait(DEADLINE)

    reader = threading.Thread(target=inbox.fill, args=(news(),))
    reader.start()
    wait(lambda: inbox.take(0.0, DEADLINE, 0.0) == {"a"}, "it is due at once")
    assert inbox.take(0.05, DEADLINE, DEADLINE) == frozenset(), "it is taken once"
    gate.set()
    reader.join(DEADLINE)


@pytest.mark.parametrize("watch", [Intervals(gather=DEADLINE / 4, silence=DEADLINE)], indirect=True)
def test_starts_that_come_together_are_observed_together(watch: Watch) -> None:
    watch.driver.pods = {"a", "b", "c", "d"}
    wait(lambda: "connected" in watch.told.said, "connected")
    watch.driver.tell(Later({"a"}))
    wait(lambda: watch.driver.asked[4:] == [{"a"}], "the first of a quiet host is observed at once")
    for uid in ("b", "c", "d"):
        watch.driver.tell(Later({uid}))
        time.sleep(0.01)
    wait(lambda: watch.driver.asked[5:] == [{"b", "c", "d"}], "the others together")


def test_an_inbox_wakes_whoever_waits_for_its_end() -> None:
    inbox = Inbox()
    waiting = threading.Thread(target=inbox.take, args=(DEADLINE, 2 * DEADLINE))
    waiting.start()
    inbox.end()
    waiting.join(DEADLINE / 2)
    assert not waiting.is_alive()
