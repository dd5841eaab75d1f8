"""The store of a reflector, fed by hand."""

from __future__ import annotations

from typing import Any

from interlink.errors import HostUnreachable
from interlink.kubelet import reflector
from interlink.kubelet.kube import ApiError
from interlink.kubelet.reflector import Store


def thing(uid: str, version: str = "1", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": f"name-{uid}", "resourceVersion": version, **metadata}}


def test_a_change_is_told_once_per_version() -> None:
    told: list[str] = []
    store = Store(told.append)
    for version in ("1", "1", "2"):
        store.put(thing("a", version))
    assert told == ["a", "a"]
    assert len(store) == 1
    assert "a" in store


def test_a_list_replaces_what_is_known_and_tells_only_differences() -> None:
    told: list[str] = []
    store = Store(told.append)
    for uid in ("same", "changed", "gone"):
        store.put(thing(uid))
    told.clear()
    store.replace({"same": thing("same"), "changed": thing("changed", "2"), "new": thing("new")})
    assert told == ["gone", "changed", "new"]
    assert {item["metadata"]["uid"] for item in store} == {"same", "changed", "new"}


def test_the_last_state_of_a_removed_object_stays_until_forgotten() -> None:
    store = Store(lambda uid: None)
    store.put(thing("a"))
    store.remove("a", thing("a", "2", deletionTimestamp="now"))
    assert store.get("a") is None
    gone = store.gone("a")
    assert gone is not None
    assert gone["metadata"]["deletionTimestamp"] == "now"
    store.forget("a")
    store.forget("a")
    assert store.gone("a") is None


def test_the_removal_of_what_is_unknown_tells_nothing() -> None:
    told: list[str] = []
    store = Store(told.append)
    store.remove("never seen", thing("never seen"))
    assert told == []
    assert store.gone("never seen") is None


def test_the_server_sides_bookkeeping_is_dropped() -> None:
    store = Store(lambda uid: None)
    store.put(thing("a", managedFields=[{"manager": "kubectl"}]))
    known = store.get("a")
    assert known is not None
    assert "managedFields" not in known["metadata"]


def test_waits_grow_to_half_a_minute_and_are_never_all_the_same() -> None:
    refusal = ApiError(403, "Forbidden", "no")
    assert [reflector.pause_after(refusal, n, 0.0) for n in (1, 2, 7, 1000)] == [0.5, 1.0, 30.0, 30.0]
    assert len({reflector.pause_after(refusal, 9) for _ in range(10)}) > 1


def test_a_server_that_is_away_is_asked_again_soon_and_a_new_list_at_once() -> None:
    assert reflector.pause_after(HostUnreachable("away"), 1000, 0.0) <= 5
    expired = ApiError(410, "Expired", "too old")
    assert reflector.pause_after(expired, 1) == 0
    assert reflector.pause_after(expired, 1000, 0.0) == 30
