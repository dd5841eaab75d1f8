"""What the two Leases of a node say, and when another's may be taken; pure."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timezone
from typing import Any

import pytest

from interlink.errors import HostUnreachable
from interlink.kubelet import leader, lease
from interlink.kubelet.leader import Observation, Times
from interlink.kubelet.lease import NodeLease
from tests.unit.kubelet.leaping import leap

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)


def seen(holder: str, version: str, seconds: int = 9) -> dict[str, Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": "2020-01-01T00:00:00.000000Z"}
    return {"metadata": {"name": "interlink-n", "resourceVersion": version}, "spec": spec}


def test_the_heartbeat_keeps_what_it_does_not_know_of_the_object() -> None:
    fresh = lease.renewed(None, "n", "uid-1", NOW)
    assert fresh["spec"] == {
        "holderIdentity": "n",
        "leaseDurationSeconds": 40,
        "renewTime": "2026-01-02T03:04:05.000678Z",
    }
    assert fresh["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "uid-1"}]
    stored = {**fresh, "metadata": {**fresh["metadata"], "resourceVersion": "7", "labels": {"a": "b"}}}
    again = lease.renewed(stored, "n", None, NOW)
    assert again["metadata"] == stored["metadata"], "while the node is not known its owner stays"
    other = lease.renewed(stored, "n", "uid-2", NOW)
    assert [owner["uid"] for owner in other["metadata"]["ownerReferences"]] == ["uid-2"]
    assert stored["metadata"]["ownerReferences"][0]["uid"] == "uid-1"


def test_a_lease_is_free_when_it_was_seen_unchanged_for_its_duration_by_our_own_clock() -> None:
    observed = Observation()
    assert observed.free_in(seen("other", "1"), 100.0) == 9.0, "however old it says that it is"
    assert observed.free_in(seen("other", "1"), 104.0) == 5.0
    assert observed.free_in(seen("other", "2"), 108.0) == 9.0, "it was renewed"
    assert observed.free_in(seen("other", "2"), 117.5) == -0.5
    assert observed.free_in(seen("", "3"), 118.0) == 0.0, "it was given back"


def test_a_takeover_is_counted_and_a_renewal_is_not() -> None:
    first = leader.held(None, "interlink-n", "me", 9, NOW)
    assert (first["spec"]["leaseTransitions"], first["spec"]["acquireTime"]) == (0, "2026-01-02T03:04:05.000678Z")
    taken = leader.held(seen("other", "1"), "interlink-n", "me", 9, NOW)
    assert taken["spec"]["leaseTransitions"] == 1
    assert taken["metadata"]["resourceVersion"] == "1"
    later = NOW.replace(hour=4)
    renewed = leader.held(taken, "interlink-n", "me", 9, later)
    assert renewed["spec"] == {**taken["spec"], "renewTime": "2026-01-02T04:04:05.000678Z"}
    back = leader.held(renewed, "interlink-n", "", 1, later)
    assert (back["spec"]["holderIdentity"], back["spec"]["leaseTransitions"]) == ("", 1)


def test_the_holder_stops_well_before_another_may_begin_and_takeover_is_within_fifteen_seconds() -> None:
    times = Times()
    assert times.deadline + 1 < times.duration
    assert times.duration + times.look < 14
    assert 2 * times.answer < times.deadline, "one slow answer, or one that never came, costs nothing"


def test_no_two_processes_have_one_identity() -> None:
    assert len({leader.identity() for _ in range(10)}) == 10


class Away:
    """An API server that refuses so many connections at once, and renews every lease then."""

    def __init__(self, refusals: int, renewals: int) -> None:
        self.refusals, self.renewals = refusals, renewals
        self.renewed: list[float] = []
        self.enough = asyncio.Event()

    async def get(self, *_: object, **__: object) -> dict[str, Any]:
        self.refusals -= 1
        if self.refusals >= 0:
            raise HostUnreachable("refused")
        return seen("n", "1")

    async def replace(self, _: str, body: dict[str, Any], **__: object) -> dict[str, Any]:
        self.renewed.append(asyncio.get_running_loop().time())
        if len(self.renewed) >= self.renewals:
            self.enough.set()
        return body


def test_quick_refusals_do_not_put_off_the_renewals_after_them() -> None:
    async def outage(period: float, refusals: int) -> float:
        """Return the longest pause between two renewals afterwards."""
        api = Away(refusals, renewals=4)
        running = asyncio.ensure_future(NodeLease(api, "n", period=period).run())  # type: ignore[arg-type]
        await api.enough.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return max(b - a for a, b in itertools.pairwise(api.renewed))

    assert leap(outage(period=10.0, refusals=200)) == pytest.approx(10.0), "the pause grew with every refusal"
