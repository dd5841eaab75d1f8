"""The dispatcher over mock hosts. The feed of changes: a picture first, then every change in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlink.errors import NotFound
from interlink.model.driver import Change, PodEvent
from interlink.model.status import Phase
from tests.unit.dispatcher.world import World, ref, request_for, world


def collect(w: World, since: int | None, until: Any) -> list[Change]:
    feed, found = w.dispatcher.watch(since), []
    for change in feed:
        found.append(change)
        if until(change):
            break
    feed.close()
    return found


def test_a_watch_opens_with_the_picture_and_goes_on_without_gaps(tmp_path: Path) -> None:
    with world(tmp_path, {"h1": {"interlink_node": "vk"}}) as w:
        request = request_for()
        w.dispatcher.create(request)
        w.until(request.pod.uid, lambda r: r.status.phase is Phase.RUNNING, "it runs")
        picture = collect(w, None, lambda c: c.type == "bookmark")
        assert [(c.seq, c.type) for c in picture[:-1]] == [(0, "node"), (0, "pod")]
        w.dispatcher.delete(ref(request))
        after = collect(w, picture[-1].seq, lambda c: c.type == "pod" and c.object.gone)
        assert [c.seq for c in after] == list(range(picture[-1].seq + 1, picture[-1].seq + 1 + len(after)))
        assert after[-1].object.status.terminal


def test_events_flow(w: World) -> None:
    start = w.dispatcher.watch().close() or w.dispatcher._changes.last
    request = request_for(run=0.05)
    w.dispatcher.create(request)
    last = collect(w, start, lambda c: c.type == "event")[-1].object
    assert isinstance(last, PodEvent)
    assert (last.uid, last.reason, last.container) == (request.pod.uid, "Started", "main")


def test_a_number_of_another_process_is_too_old(w: World) -> None:
    before = w.dispatcher._changes.last
    w.kill()
    w.start()
    for number in (before, w.dispatcher._changes.last + 1, 0):
        with pytest.raises(NotFound):
            w.dispatcher.watch(number)
