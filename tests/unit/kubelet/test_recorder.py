"""Events are written in the background: counted up, kept through an outage, limited by object."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from interlink.errors import HostUnreachable, InterlinkError
from interlink.kubelet import events
from interlink.kubelet.events import Event, Recorder
from interlink.kubelet.kube import ApiError

Json = dict[str, Any]
ABOUT = {"kind": "Pod", "namespace": "n", "name": "p", "uid": "u"}


class Api:
    """Takes events; answers with the errors that are left first."""

    def __init__(self, *errors: InterlinkError) -> None:
        self.left = list(errors)
        self.made: dict[str, Json] = {}

    async def create(self, path: str, body: Json) -> Json:
        self._fail()
        self.made[body["metadata"]["name"]] = dict(body)
        return body

    async def patch(self, path: str, body: Json, kind: str) -> Json:
        self._fail()
        name = path.rpartition("/")[2]
        if name not in self.made:
            raise ApiError(404, "NotFound", name)
        self.made[name] |= body
        return self.made[name]

    def _fail(self) -> None:
        if self.left:
            raise self.left.pop(0)


def recorded(api: Api, *told: Event, between: Callable[[], None] = lambda: None) -> list[Json]:
    async def main() -> None:
        recorder = Recorder(api, "vk")  # type: ignore[arg-type]
        running = asyncio.create_task(recorder.run(workers=1))
        for event in told:
            recorder.record(event)
            await asyncio.wait_for(recorder.flush(), 20)
            between()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
    return list(api.made.values())


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "AGAIN_SECONDS", 0.001)


def test_the_same_event_is_counted_up() -> None:
    [made] = recorded(Api(), *[Event(ABOUT, "BackOff", "again")] * 3)
    assert made["count"] == 3
    assert made["source"] == {"component": "kubelet", "host": "vk"}


def test_one_that_has_expired_is_made_anew() -> None:
    api = Api()
    kept: list[Json] = []

    def expire() -> None:
        kept.extend(api.made.values())
        api.made.clear()

    recorded(api, *[Event(ABOUT, "BackOff", "again")] * 2, between=expire)
    assert [made["count"] for made in kept] == [1, 1]


@pytest.mark.parametrize("error", [HostUnreachable("away"), ApiError(429, "", ""), ApiError(503, "", "")])
def test_an_outage_loses_no_event_and_keeps_its_time(error: InterlinkError) -> None:
    [made] = recorded(Api(*[error] * 5), Event(ABOUT, "Started", "c"))
    assert made["count"] == 1
    assert made["firstTimestamp"] == made["lastTimestamp"]


def test_an_outage_in_between_is_counted_once() -> None:
    api = Api()

    def fail() -> None:
        api.left = [HostUnreachable("away")] * 3

    [made] = recorded(api, *[Event(ABOUT, "BackOff", "again")] * 2, between=fail)
    assert made["count"] == 2


def test_a_refusal_is_final_and_stops_nothing() -> None:
    [made] = recorded(
        Api(ApiError(403, "Forbidden", "namespace is being terminated")),
        *[Event(ABOUT, reason, "c") for reason in ("Lost", "Kept")],
    )
    assert made["reason"] == "Kept"


def test_an_object_has_a_burst_of_its_own() -> None:
    many = [Event(ABOUT, "r", str(number)) for number in range(40)]
    other = Event({**ABOUT, "uid": "v"}, "r", "of another")
    found = recorded(Api(), *many, other)
    assert len(found) == 26
    assert found[-1]["message"] == "of another"
