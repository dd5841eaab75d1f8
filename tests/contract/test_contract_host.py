"""What a HostDriver offers beyond a Driver: listings, feeds, and pods of other server ids left alone."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from interlink.model.pod import PodRef
from tests.contract.support import DEADLINE, FOREVER, Box, Rig, delete, ended

pytestmark = pytest.mark.needs("host")


def test_listing_is_complete(rig: Rig) -> None:
    with rig.run(Box("exit 2", code=2)) as one, rig.run(Box("sleep 300", **FOREVER)) as two:
        one.ended()
        two.running()
        listing = rig.driver.listing()
        assert {one.uid, two.uid} <= set(listing.pods)
        assert ended(listing.pods[one.uid]).exit_code == 2
        assert all(uid == status.uid for uid, status in listing.pods.items())
        assert listing.taken_at.tzinfo is not None


def test_observe_answers_for_those_asked(rig: Rig) -> None:
    with rig.run(Box("sleep 300", **FOREVER)) as one, rig.run(Box("sleep 300", **FOREVER)):
        seen = rig.driver.observe([one.uid, str(uuid.uuid4())])
        assert set(seen.pods) == {one.uid}
        assert dict(rig.driver.observe([]).pods) == {}


def test_the_feed_tells_creation_exit_and_deletion(rig: Rig) -> None:
    with rig.driver.changes() as feed, rig.run(Box("sleep 1", run=0.3)) as run:
        _told(feed, run.uid)
        end = time.monotonic() + DEADLINE
        while not rig.driver.observe([run.uid]).pods[run.uid].terminal:
            assert time.monotonic() < end
            _told(feed, run.uid)
        run.delete()
        _told(feed, run.uid)


def test_the_feed_gives_signs_of_life(rig: Rig) -> None:
    with rig.driver.changes() as feed:
        began = time.monotonic()
        for change in feed:
            if not change:
                break
            assert time.monotonic() - began < DEADLINE


def test_leaving_the_feed_frees_everything(rig: Rig) -> None:
    with rig.driver.changes() as feed:
        reader = threading.Thread(target=_drain, args=[feed])
        reader.start()
        time.sleep(0.2)
    reader.join(60)
    assert not reader.is_alive()


def test_two_feeds_at_once(rig: Rig) -> None:
    with rig.driver.changes() as one, rig.driver.changes() as other, rig.run(Box()) as run:
        _told(one, run.uid)
        _told(other, run.uid)


@pytest.mark.needs("processes")
def test_another_server_id_is_left_alone(rig: Rig) -> None:
    assert rig.foreign is not None
    request = rig.pod(Box("sleep 300", **FOREVER))
    rig.foreign.create(request)
    try:
        with rig.run(Box("sleep 300", **FOREVER)) as run:
            run.running()
            assert request.pod.uid not in rig.driver.listing().pods
            run.delete(grace=0)
        assert [s.uid for s in rig.foreign.status([PodRef.of(request.pod)])] == [request.pod.uid]
    finally:
        delete(rig.foreign, PodRef.of(request.pod), 0)


def test_prepare_and_check_are_repeatable(rig: Rig) -> None:
    rig.driver.prepare()
    rig.driver.prepare()
    request = rig.pod(Box())
    rig.driver.check(request)
    assert rig.driver.status([PodRef.of(request.pod)]) == []


def test_facts(rig: Rig) -> None:
    assert rig.driver.facts().engine


def _told(feed: object, uid: str) -> None:
    end = time.monotonic() + DEADLINE
    for change in feed:  # type: ignore[attr-defined]
        if uid in change:
            return
        assert time.monotonic() < end, f"the feed did not tell of {uid}"
    raise AssertionError("the feed ended")


def _drain(feed: object) -> None:
    for _ in feed:  # type: ignore[attr-defined]
        pass
