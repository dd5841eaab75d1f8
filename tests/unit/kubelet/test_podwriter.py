"""What the kubelet writes about pods: by UID, once, and never out of a terminal phase."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from interlink.kubelet.events import Event, Recorder
from interlink.kubelet.kube import ApiError
from interlink.kubelet.podwriter import PodWriter

Json = dict[str, Any]


def pod(phase: str = "Pending", version: int = 1, **metadata: Any) -> Json:
    known = {"uid": "u", "name": "p", "namespace": "n", "resourceVersion": str(version), **metadata}
    return {"metadata": known, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": phase}}


HALF_REMOVED = pod(deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=0)


class Api:
    """An API server that applies the top level of a patch, or answers with an error."""

    def __init__(self, error: ApiError | None = None) -> None:
        self.error, self.version = error, 1
        self.sent: list[tuple[str, str, Any]] = []

    async def patch(self, path: str, body: Json, *_: object) -> Json:
        return self._answer("PATCH", path, body)

    async def delete(self, path: str, body: Json) -> Json:
        return self._answer("DELETE", path, body)

    async def get(self, path: str) -> Json:
        return self._answer("GET", path, None)

    def _answer(self, verb: str, path: str, body: Any) -> Json:
        self.sent.append((verb, path, body))
        if self.error is not None:
            raise self.error
        self.version += 1
        status = (body or {}).get("status") or {}
        return {**pod(version=self.version), "status": {"phase": "Pending", **status}}


class Heard(Recorder):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)


def written(api: Api, *work: tuple[Json, Json]) -> PodWriter:
    writer = PodWriter(api, Heard())  # type: ignore[arg-type]

    async def main() -> None:
        for known, status in work:
            await writer.status(known, status)

    asyncio.run(main())
    return writer


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_a_status_carries_the_uid_and_is_sent_once() -> None:
    api = Api()
    writer = written(api, (pod(), {"phase": "Running"}), (pod(), {"phase": "Running"}))
    assert api.sent == [
        ("PATCH", "/api/v1/namespaces/n/pods/p/status", {"metadata": {"uid": "u"}, "status": {"phase": "Running"}})
    ]
    assert writer.newest(pod())["status"]["phase"] == "Running", "the watch lags behind"
    assert writer.newest(pod("Failed", version=7))["status"]["phase"] == "Failed"


def test_what_somebody_else_has_changed_back_is_written_again() -> None:
    api = Api()
    written(api, (pod(), {"phase": "Running"}), (pod("Pending", version=9), {"phase": "Running"}))
    assert len(api.sent) == 2


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_terminal_phase_is_never_left(phase: str) -> None:
    api = Api()
    written(api, (pod(phase), {"phase": "Running"}), (pod(phase), {"phase": "Pending"}))
    assert api.sent == []


@pytest.mark.parametrize(
    "error",
    [
        ApiError(404, "NotFound", 'pods "p" not found'),
        ApiError(422, "Invalid", 'Pod "p" is invalid: metadata.uid: Invalid value: "u": field is immutable'),
    ],
)
def test_a_pod_that_is_gone_or_another_by_now_is_left_alone(error: ApiError) -> None:
    written(Api(error), (pod(), {"phase": "Running"}))


@pytest.mark.parametrize("error", [ApiError(409, "Conflict", "changed"), ApiError(422, "Invalid", "status.podIP")])
def test_a_conflict_or_a_refusal_is_tried_again_by_whoever_asked(error: ApiError) -> None:
    with pytest.raises(ApiError):
        written(Api(error), (pod(), {"phase": "Running"}))


def test_a_removal_is_by_uid_and_not_repeated() -> None:
    api = Api()
    writer = PodWriter(api, Heard())  # type: ignore[arg-type]
    run(writer.remove(pod()))
    run(writer.remove(HALF_REMOVED))
    assert [(verb, body) for verb, _, body in api.sent] == [
        ("DELETE", {"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}})
    ]


def test_a_removal_that_was_cut_off_is_finished() -> None:
    """The API server sets the grace period to 0 before it removes; its client was killed between the two."""
    api = Api(ApiError(503, "ServiceUnavailable", "etcd"))
    writer = PodWriter(api, Heard())  # type: ignore[arg-type]
    with pytest.raises(ApiError):
        run(writer.remove(HALF_REMOVED))
    api.error = None
    run(writer.remove(HALF_REMOVED))
    assert [verb for verb, _, _ in api.sent] == ["DELETE", "DELETE"]


@pytest.mark.parametrize("error", [ApiError(404, "NotFound", ""), ApiError(409, "Conflict", "uid")])
def test_what_is_removed_already_is_removed(error: ApiError) -> None:
    run(PodWriter(Api(error), Heard()).remove(pod()))  # type: ignore[arg-type]


def test_whether_a_pod_exists_is_asked_by_uid() -> None:
    assert run(PodWriter(Api(), Heard()).exists("n", "p", "u"))  # type: ignore[arg-type]
    assert not run(PodWriter(Api(), Heard()).exists("n", "p", "other"))  # type: ignore[arg-type]
    assert not run(PodWriter(Api(ApiError(404, "NotFound", "")), Heard()).exists("n", "p", "u"))  # type: ignore[arg-type]
    with pytest.raises(ApiError):
        run(PodWriter(Api(ApiError(500, "", "")), Heard()).exists("n", "p", "u"))  # type: ignore[arg-type]
