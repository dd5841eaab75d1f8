"""Who may ask a node what: decisions as tables, and what is remembered for how long."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from interlink.errors import InterlinkError
from interlink.kubelet import access, auth
from interlink.kubelet.access import Caller, Wish
from interlink.kubelet.auth import Callers, Remembered, Rights
from tests.unit.kubelet.serverkit import Api

ALICE = Caller("alice", ("devs", "system:authenticated"))


@pytest.mark.parametrize(
    ("method", "path", "verb", "subresources"),
    [
        ("GET", "/stats/summary", "get", ("stats",)),
        ("GET", "/metrics", "get", ("metrics",)),
        ("GET", "/metrics/resource", "get", ("metrics",)),
        ("GET", "/logs/messages", "get", ("log",)),
        ("POST", "/checkpoint/ns/p/c", "create", ("checkpoint",)),
        ("GET", "/containerLogs/ns/p/c", "get", ("proxy",)),
        ("HEAD", "/pods", "get", ("pods", "proxy")),
        ("GET", "/runningpods/", "get", ("pods", "proxy")),
        ("GET", "/healthz", "get", ("healthz", "proxy")),
        ("GET", "/configz", "get", ("configz", "proxy")),
        ("GET", "/exec/ns/p/c", "create", ("proxy",)),
        ("POST", "/exec/ns/p/c", "create", ("proxy",)),
        ("GET", "/attach/ns/p/c", "create", ("proxy",)),
        ("GET", "/portForward/ns/p", "create", ("proxy",)),
        ("GET", "/run/ns/p/c", "create", ("proxy",)),
        ("DELETE", "/pods", "delete", ("pods", "proxy")),
        ("OPTIONS", "/pods", "options", ("pods", "proxy")),
        ("GET", "//exec/ns/p/c", "create", ("proxy",)),
        ("GET", "/podsx", "get", ("proxy",)),
        ("GET", "/", "get", ("proxy",)),
    ],
)
def test_what_a_request_needs(method: str, path: str, verb: str, subresources: tuple[str, ...]) -> None:
    assert access.wish(method, path) == Wish(verb, subresources)


CERTIFICATE = {
    "subject": ((("organizationName", "devs"),), (("organizationName", "ops"), ("commonName", "alice"))),
    "notAfter": "Jun  1 12:00:00 2026 GMT",
}
END = ssl.cert_time_to_seconds("Jun  1 12:00:00 2026 GMT")


@pytest.mark.parametrize(
    ("certificate", "now", "caller"),
    [
        (CERTIFICATE, END - 1, Caller("alice", ("devs", "ops", "system:authenticated"))),
        (CERTIFICATE, END + 1, None),  # it has expired since the connection began
        ({**CERTIFICATE, "subject": ((("organizationName", "system:masters"),),)}, END - 1, None),
        ({}, END - 1, None),
        (None, END - 1, None),
    ],
)
def test_whom_a_certificate_stands_for(certificate: Any, now: float, caller: Caller | None) -> None:
    assert access.of_certificate(certificate, now) == caller


@pytest.mark.parametrize(
    ("status", "caller"),
    [
        ({"authenticated": True, "user": {"username": "u"}}, Caller("u", ("system:authenticated",))),
        (
            {"authenticated": True, "user": {"username": "u", "uid": "1", "groups": ["g"], "extra": {"k": ["v", "w"]}}},
            Caller("u", ("g", "system:authenticated"), "1", (("k", ("v", "w")),)),
        ),
        ({"authenticated": False, "user": {"username": "u"}}, None),
        ({"authenticated": "true", "user": {"username": "u"}}, None),
        ({"authenticated": True, "user": {}}, None),
        ({"error": "no"}, None),
        ({}, None),
    ],
)
def test_whom_a_token_stands_for(status: dict[str, Any], caller: Caller | None) -> None:
    assert access.of_review({"status": status}) == caller


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ({"allowed": True}, True),
        ({"allowed": True, "denied": False}, True),
        ({"allowed": True, "denied": True}, False),
        ({"allowed": False, "reason": "no"}, False),
        ({"allowed": 1}, False),
        ({"evaluationError": "x"}, False),
        ({}, False),
    ],
)
def test_only_a_clear_yes_allows(status: dict[str, Any], allowed: bool) -> None:
    assert access.is_allowed({"status": status}) is allowed


def test_the_review_names_caller_node_and_verb() -> None:
    caller = Caller("u", ("g",), "1", (("k", ("v",)),))
    spec = access.access_review(caller, "n1", "get", "stats")["spec"]
    attributes = {"verb": "get", "version": "v1", "resource": "nodes", "subresource": "stats", "name": "n1"}
    assert spec == {
        "user": "u", "groups": ["g"], "uid": "1", "extra": {"k": ["v"]}, "resourceAttributes": attributes
    }  # fmt: skip


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_tokens_are_asked_about_once_in_two_minutes_and_refused_ones_sooner() -> None:
    async def main() -> None:
        clock, api = Clock(), Api(tokens={"good": {"username": "u"}})
        callers = Callers(api, clock=clock)
        for _ in range(3):
            assert await callers.identify(None, "Bearer good") == Caller("u", ("system:authenticated",))
            assert await callers.identify(None, "Bearer bad") is None
        assert api.count("TokenReview") == 2
        clock.now += auth.NO_TOKEN_SECONDS
        api.tokens["bad"] = {"username": "late"}
        assert await callers.identify(None, "Bearer bad") is not None
        del api.tokens["good"]
        clock.now += auth.TOKEN_SECONDS
        assert await callers.identify(None, "Bearer good") is None

    asyncio.run(main())


def test_nobody_is_asked_about_callers_who_show_nothing() -> None:
    async def main() -> None:
        api = Api()
        for header in ("", "Bearer", "Bearer ", "Basic eDp5"):
            assert await Callers(api).identify(None, header) is None
        assert api.asked == []

    asyncio.run(main())


def test_verdicts_are_kept_for_five_minutes_and_denials_for_thirty_seconds() -> None:
    async def main() -> None:
        clock, api = Clock(), Api()
        api.allowed = lambda spec: spec["resourceAttributes"]["subresource"] == "stats"
        rights = Rights(api, "n1", clock=clock)
        for _ in range(3):
            assert await rights.allow(ALICE, Wish("get", ("stats",)))
            assert not await rights.allow(ALICE, Wish("get", ("metrics",)))
        assert api.count("SubjectAccessReview") == 2
        assert not await rights.allow(ALICE, Wish("create", ("metrics",)))  # another verb, another question
        assert not await rights.allow(Caller("bob"), Wish("get", ("metrics",)))
        assert api.count("SubjectAccessReview") == 4
        clock.now += auth.DENY_SECONDS
        await rights.allow(ALICE, Wish("get", ("metrics",)))
        await rights.allow(ALICE, Wish("get", ("stats",)))
        assert api.count("SubjectAccessReview") == 5
        api.allowed = lambda spec: False
        clock.now += auth.ALLOW_SECONDS
        assert not await rights.allow(ALICE, Wish("get", ("stats",)))

    asyncio.run(main())


def test_one_of_the_finer_subresources_is_enough() -> None:
    async def main() -> None:
        api = Api()
        api.allowed = lambda spec: spec["resourceAttributes"]["subresource"] == "proxy"
        rights = Rights(api, "n1")
        assert await rights.allow(ALICE, Wish("get", ("pods", "proxy")))
        assert not await rights.allow(ALICE, Wish("get", ("stats",)))

    asyncio.run(main())


def test_no_answer_is_neither_yes_nor_remembered() -> None:
    async def main() -> None:
        api = Api(down=True)
        with pytest.raises(InterlinkError):
            await Callers(api).identify(None, "Bearer x")
        rights = Rights(api, "n1")
        with pytest.raises(InterlinkError):
            await rights.allow(ALICE, Wish("get", ("stats",)))
        api.down = False
        assert await rights.allow(ALICE, Wish("get", ("stats",)))

    asyncio.run(main())


def test_an_authority_that_cannot_be_read_stays_as_it_was() -> None:
    async def main() -> None:
        api = Api(authority="PEM")
        callers = Callers(api)
        assert callers.authority == ""
        await callers.read_authority()
        api.down = True
        await callers.read_authority()
        assert callers.authority == "PEM"

    asyncio.run(main())


def test_a_flood_of_tokens_pushes_out_the_oldest() -> None:
    kept: Remembered[int] = Remembered(Clock())
    for number in range(5000):
        kept.put(number, number, 60)
    assert kept.get(0) == (False, None)
    assert kept.get(4999) == (True, 4999)
