"""What a run leaves behind when it is stopped at the wrong moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from interlink import errors
from interlink.model.driver import Change, Composition, Created, PodRecord
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import Phase, PodStatus
from interlink.tasks.running.session import Options, Session

REQUEST = PodRequest(Pod({"metadata": {"name": "p", "uid": "u1"}, "spec": {"containers": [{"name": "c"}]}}))
DONE = PodRecord("u1", "default", "p", "", "h1", "run", PodStatus("u1", phase=Phase.SUCCEEDED))


class Feed:
    """A watch that shows some records and ends."""

    def __init__(self, records: list[PodRecord]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[Change]:
        return iter([Change(1, "pod", record) for record in self._records])

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Place:
    """Keeps pods; `at_create` and `at_delete` are raised once the work is done, where the caller cannot know."""

    at_create: BaseException | None = None
    at_delete: BaseException | None = None
    takes: bool = True
    shown: list[PodRecord] = field(default_factory=list)
    pods: set[str] = field(default_factory=set)
    deletes: list[str] = field(default_factory=list)

    def accept(self, request: PodRequest) -> Created:
        if self.takes:
            self.pods.add(request.pod.uid)
        if self.at_create:
            raise self.at_create
        return Created(request.pod.uid, "1")

    def delete(self, ref: PodRef) -> None:
        self.deletes.append(ref.uid)
        error, self.at_delete = self.at_delete, None
        if error:
            raise error
        self.pods.discard(ref.uid)

    def pod(self, uid: str) -> PodRecord:
        if uid not in self.pods:
            raise errors.NotFound(f"no pod {uid}")
        return DONE

    def watch(self, since: int | None) -> Feed:
        return Feed(self.shown)

    def hosts(self) -> list[Any]:
        return []


def session(place: Place, said: list[str], **options: Any) -> Session:
    return Session(cast(Composition, place), [REQUEST], Options(**options), said.append, lambda prefix, line: None)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ["--server", "http://h 1"],
            "goes on; log: interlink pods.logs p --server 'http://h 1', remove: interlink pods.delete p",
        ),
        (None, "goes on as u1; the server keeps it until its own users delete it"),
    ],
)
def test_a_detached_pod_is_left_with_words_that_lead_back_to_it(flags: list[str] | None, line: str) -> None:
    said: list[str] = []
    place = Place(shown=[DONE])
    assert session(place, said, detach=True, flags=flags).run() == 0
    assert place.pods == {"u1"}
    assert said[-1].startswith(line)


def test_a_pod_whose_create_was_interrupted_is_deleted() -> None:
    place, said = Place(at_create=KeyboardInterrupt()), list[str]()
    assert session(place, said).run() == 130
    assert (place.pods, place.deletes, said) == (set(), ["u1"], ["interrupted"])


def test_a_pod_whose_create_was_never_answered_is_deleted() -> None:
    place = Place(at_create=errors.ConnectionLost("the outcome is unknown"))
    with pytest.raises(errors.ConnectionLost):
        session(place, []).run()
    assert (place.pods, place.deletes) == (set(), ["u1"])


@pytest.mark.parametrize(
    "refusal", [errors.InvalidPod("no"), errors.Conflict("another's"), errors.Unavailable("later")]
)
def test_a_pod_that_was_refused_is_nobodys_to_delete(refusal: errors.InterlinkError) -> None:
    place = Place(at_create=refusal, takes=False)
    with pytest.raises(type(refusal)):
        session(place, []).run()
    assert place.deletes == []


def test_an_interrupt_during_the_last_delete_does_not_leave_the_pod() -> None:
    place = Place(at_delete=KeyboardInterrupt(), shown=[DONE])
    assert session(place, []).run() == 130
    assert (place.pods, place.deletes) == (set(), ["u1", "u1"])
