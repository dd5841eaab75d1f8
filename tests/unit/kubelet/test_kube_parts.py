"""The pure parts of the API server's client."""

from __future__ import annotations

import json

import pytest

from interlink.errors import ConnectionLost, DeadlineExceeded, HostUnreachable, InterlinkError
from interlink.kubelet import paths
from interlink.kubelet.kube import retries
from interlink.kubelet.kube.credentials import find
from interlink.kubelet.kube.errors import ApiError
from interlink.kubelet.kube.lines import Lines

PATHS = [
    (paths.pods(), "/api/v1/pods"),
    (paths.pods("shop"), "/api/v1/namespaces/shop/pods"),
    (paths.pod("shop", "web"), "/api/v1/namespaces/shop/pods/web"),
    (paths.pod_status("shop", "web"), "/api/v1/namespaces/shop/pods/web/status"),
    (paths.nodes(), "/api/v1/nodes"),
    (paths.node("n"), "/api/v1/nodes/n"),
    (paths.node_status("n"), "/api/v1/nodes/n/status"),
    (paths.leases("l"), "/apis/coordination.k8s.io/v1/namespaces/l/leases"),
    (paths.lease("l", "n"), "/apis/coordination.k8s.io/v1/namespaces/l/leases/n"),
    (paths.events("shop"), "/api/v1/namespaces/shop/events"),
    (paths.event("shop", "e.1"), "/api/v1/namespaces/shop/events/e.1"),
    (paths.config_map("shop", "c"), "/api/v1/namespaces/shop/configmaps/c"),
    (paths.secret("shop", "s"), "/api/v1/namespaces/shop/secrets/s"),
    (paths.services("shop"), "/api/v1/namespaces/shop/services"),
    (paths.service_account_token("shop", "a"), "/api/v1/namespaces/shop/serviceaccounts/a/token"),
    (paths.token_reviews(), "/apis/authentication.k8s.io/v1/tokenreviews"),
    (paths.subject_access_reviews(), "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
    (paths.signing_requests(), "/apis/certificates.k8s.io/v1/certificatesigningrequests"),
    (paths.signing_request("r"), "/apis/certificates.k8s.io/v1/certificatesigningrequests/r"),
]


@pytest.mark.parametrize(("made", "expected"), PATHS)
def test_paths_are_those_of_the_api(made: str, expected: str) -> None:
    assert made == expected


def test_names_cannot_leave_their_place_in_a_path() -> None:
    assert paths.secret("a/b", "../x?y") == "/api/v1/namespaces/a%2Fb/secrets/..%2Fx%3Fy"


RESOURCES = [
    (paths.pods("shop"), "pods"),
    (paths.pod("shop", "web"), "pods"),
    (paths.pod_status("shop", "web"), "pods/status"),
    (paths.with_query(paths.pods(), {"watch": True}), "pods"),
    (paths.node_status("n"), "nodes/status"),
    (paths.lease("l", "n"), "leases"),
    (paths.service_account_token("shop", "a"), "serviceaccounts/token"),
    ("/api/v1/namespaces/shop", "namespaces"),
]


@pytest.mark.parametrize(("path", "expected"), RESOURCES)
def test_requests_are_counted_by_resource(path: str, expected: str) -> None:
    assert paths.resource(path) == expected


def test_a_status_object_becomes_an_error_with_its_reason() -> None:
    status = {"kind": "Status", "code": 409, "reason": "Conflict", "message": "old", "details": {"name": "p"}}
    error = ApiError.of_answer(409, json.dumps(status).encode())
    assert (error.status, error.reason, error.message, error.details) == (409, "Conflict", "old", {"name": "p"})
    assert error.conflict
    assert not error.missing
    assert str(error) == "Kubernetes answered 409 Conflict: old"


def test_the_header_says_when_to_come_again_and_else_the_status_does() -> None:
    status = json.dumps({"kind": "Status", "code": 429, "details": {"retryAfterSeconds": 3}}).encode()
    assert ApiError.of_answer(429, status, "7").retry_after == 7
    assert ApiError.of_answer(429, status).retry_after == 3
    assert ApiError.of_answer(429, b"too many").retry_after is None


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"[]", b"\xff\xfe", b'{"kind":"Pod"}'])
def test_an_answer_of_something_else_is_an_error_too(body: bytes) -> None:
    error = ApiError.of_answer(502, body)
    assert (error.status, error.reason) == (502, "")


def test_an_error_event_carries_its_own_code() -> None:
    error = ApiError.of_status({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    assert error.expired


BUSY, AWAY, GATEWAY = ApiError(429, "", ""), HostUnreachable("refused"), ApiError(503, "", "")
LOST, LATE, BROKEN, INVALID = ConnectionLost(""), DeadlineExceeded(""), ApiError(500, "", ""), ApiError(422, "", "")
REPEATS = [
    ("POST", [BUSY, AWAY], [GATEWAY, LOST, LATE, BROKEN, INVALID]),
    ("GET", [BUSY, AWAY, GATEWAY, LOST, LATE], [BROKEN, INVALID]),
    ("PATCH", [BUSY, AWAY, GATEWAY, LOST, LATE], [BROKEN, INVALID]),
    ("PUT", [BUSY, AWAY, GATEWAY, LOST, LATE], [BROKEN, INVALID]),
    ("DELETE", [BUSY, AWAY, GATEWAY, LOST, LATE], [BROKEN, INVALID]),
]


@pytest.mark.parametrize(("method", "repeated", "final"), REPEATS)
def test_what_may_have_been_done_is_repeated_only_where_that_does_no_harm(
    method: str, repeated: list[InterlinkError], final: list[InterlinkError]
) -> None:
    assert [retries.may_repeat(method, error) for error in repeated] == [True] * len(repeated)
    assert [retries.may_repeat(method, error) for error in final] == [False] * len(final)


def test_waits_never_shorten_what_the_server_asks_for_and_stay_bounded() -> None:
    assert all(2 <= retries.delay(0, ApiError(429, "", "", 2.0)) <= 4 for _ in range(50))
    assert all(retries.delay(attempt, AWAY) <= 7.5 for attempt in range(30))
    assert len({retries.delay(3, AWAY) for _ in range(10)}) > 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_however_they_are_cut(size: int) -> None:
    text = b"first\n\nsecond and longer\nlast\nunfinished"
    lines = Lines()
    found = [line for at in range(0, len(text), size) for line in lines.feed(text[at : at + size])]
    assert found == [b"first", b"", b"second and longer", b"last"]


FOUND = [
    ("/given", {"KUBECONFIG": "/env"}, "/given"),
    (None, {"KUBECONFIG": "/env", "KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "/env"),
    (None, {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, None),
]


@pytest.mark.parametrize(("given", "environment", "expected"), FOUND)
def test_the_kubeconfig_is_found_as_kubectl_finds_it(
    given: str | None, environment: dict[str, str], expected: str | None
) -> None:
    assert find(given, environment) == expected


def test_without_any_hint_the_users_own_kubeconfig_is_taken() -> None:
    assert str(find(None, {})).endswith("/.kube/config")
