"""The feed survives a restart of the engine, and its cost does not grow with the pods."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from interlink.errors import InterlinkError
from interlink.model.driver import PodEvent
from interlink.model.pod import PodRef
from interlink.model.status import Phase
from tests.contract.support import Box, delete, wait
from tests.docker.conftest import local_place
from tests.docker.support import Place
from tests.lab.docker import Dockerd

pytestmark = pytest.mark.lab


def test_an_end_is_told_at_once(place: Place) -> None:
    with place.rig.run(Box("sleep 12")) as run:
        run.running()
        with place.driver.changes() as feed:
            seen = next(uids for uids in feed if run.uid in uids)
        assert seen == {run.uid}
        assert run.ended().phase is Phase.SUCCEEDED


def test_engine_restarted(
    second_dockerd: Callable[..., Dockerd], private_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockerd = second_dockerd()
    with local_place(dockerd.engine, private_directory, "restarted", monkeypatch) as place:  # noqa: SIM117
        with place.rig.run(Box("sleep 1000"), restartPolicy="Always", terminationGracePeriodSeconds=0) as run:
            run.running()
            ended = threading.Event()

            def follow() -> None:
                try:
                    with place.driver.changes() as feed:
                        for _ in feed:
                            pass
                except InterlinkError:
                    pass
                ended.set()

            reader = threading.Thread(target=follow)
            reader.start()
            time.sleep(1)
            dockerd.kill()
            assert ended.wait(30), "the feed goes on although the engine is gone"
            reader.join()
            dockerd.start()
            run.until(lambda s: s.containers[0].restart_count >= 1 and s.phase is Phase.RUNNING, "a new sandbox")
            run.running()


def test_events_are_told_once(place: Place) -> None:
    place.driver.listing()
    with place.rig.run(Box("true", more={"image": "127.0.0.1:9/no/such:1"})) as run:
        events: list[PodEvent] = []

        def look() -> bool:
            events.extend(event for event in place.driver.listing().events if event.uid == run.uid)
            return any(event.reason == "Failed" for event in events)

        wait(look, "an event of the failed pull")
        assert [event.reason for event in events][:2] == ["Pulling", "Failed"]


def test_commands_do_not_grow_with_pods(place: Place) -> None:
    """One listing is one command, whatever the number of pods."""
    requests = [place.rig.pod(Box("sleep 1000")) for _ in range(12)]
    try:
        for request in requests[:3]:
            place.driver.create(request)
        before = place.connection.commands
        assert len(place.driver.listing().pods) == 3
        few = place.connection.commands - before
        for request in requests[3:]:
            place.driver.create(request)
        before = place.connection.commands
        assert len(place.driver.listing().pods) == len(requests)
        assert place.connection.commands - before == few == 1
    finally:
        for request in requests:
            delete(place.driver, PodRef.of(request.pod), 0)
