"""Our own surface, the token, metrics, and the description of it all."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import falcon
import pytest
from falcon import testing

from interlink.api.app import create_app
from interlink.drivers.mock import Fault
from interlink.model.pod import PodRequest
from tests.api.fakes import Composition
from tests.unit.api.test_api_contract import UID, pod, send

PROBLEM = "application/problem+json"


def put(client: testing.TestClient, **annotations: str) -> testing.Result:
    return send(client, "PUT", f"/v1/pods/{UID}", {"pod": pod(**annotations)})


def test_the_life_of_a_pod(server: testing.TestClient) -> None:
    first = put(server, run="forever")
    assert (first.status_code, first.json["uid"], first.json["jid"]) == (201, UID, f"mock-{UID}")
    assert put(server, run="forever").status_code == 200
    assert server.simulate_get(f"/v1/pods/{UID}").json["phase"] == "Running"
    assert [item["uid"] for item in server.simulate_get("/v1/pods").json["items"]] == [UID]
    gone = server.simulate_delete(f"/v1/pods/{UID}?gracePeriodSeconds=0")
    assert gone.json == {"uid": UID, "target": "deleted"}
    again = put(server)
    assert (again.status_code, again.json["type"]) == (409, "urn:interlink:already-deleted")
    assert server.simulate_delete(f"/v1/pods/{UID}").status_code == 200


@pytest.mark.parametrize(
    ("query", "seconds"), [("", 0), ("?waitSeconds=0", 0), ("?waitSeconds=2", 2), ("?waitSeconds=86400", 30)]
)
def test_a_create_waits_for_the_launch_as_long_as_it_is_told_to(
    server: testing.TestClient, composition: Composition, query: str, seconds: int
) -> None:
    assert send(server, "PUT", f"/v1/pods/{UID}{query}", {"pod": pod()}).status_code == 201
    assert composition.waits == [seconds]


def test_a_wait_that_is_no_number_creates_nothing(server: testing.TestClient) -> None:
    refused = send(server, "PUT", f"/v1/pods/{UID}?waitSeconds=soon", {"pod": pod()})
    assert (refused.status_code, refused.json["field"]) == (400, "waitSeconds")
    assert server.simulate_get(f"/v1/pods/{UID}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "resolved"),
    [
        ("PUT", f"/v1/pods/{UID}", {"pod": pod()}, False),
        ("PUT", f"/v1/pods/{UID}", {"pod": pod(), "envResolved": True}, True),
        ("POST", "/create", {"pod": pod()}, True),
        ("POST", "/create", {"pod": pod(), "container": []}, True),
    ],
)
def test_env_is_resolved_where_the_contract_or_the_sender_says_so(
    server: testing.TestClient,
    composition: Composition,
    monkeypatch: Any,
    method: str,
    path: str,
    body: Any,
    resolved: bool,
) -> None:
    seen: list[PodRequest] = []
    create = composition.create
    monkeypatch.setattr(composition, "create", lambda request: seen.append(request) or create(request))
    assert send(server, method, path, body).status_code < 300
    assert [request.resolved for request in seen] == [resolved]


def test_pods_by_node_and_uid(server: testing.TestClient) -> None:
    value = pod()
    value["spec"]["nodeName"] = "vk"
    send(server, "PUT", f"/v1/pods/{UID}", {"pod": value})
    for query, count in (("node=vk", 1), ("node=other", 0), (f"uid=x&uid={UID}", 1), ("uid=x", 0), ("", 1)):
        assert len(server.simulate_get("/v1/pods", query_string=query).json["items"]) == count


def test_nodes_and_hosts(server: testing.TestClient) -> None:
    assert server.simulate_get("/v1/nodes").json["items"][0]["name"] == "vk"
    assert server.simulate_get("/v1/hosts").json["items"][0]["reachable"] is True


def test_a_problem_names_type_field_and_request(server: testing.TestClient) -> None:
    answer = server.simulate_put(
        f"/v1/pods/{UID}", body='{"pod":{"metadata":{"uid":7}}}', headers={"Interlink-Http-Session": "me#1"}
    )
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json == {
        "type": "urn:interlink:invalid-pod",
        "title": "Bad Request",
        "status": 400,
        "detail": "metadata.uid: must be a string, not a number",
        "requestId": "me#1",
        "field": "metadata.uid",
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/nope", "", 404),
        ("GET", "/v1", "", 404),
        ("GET", f"/v1/pods/{UID}", "", 404),
        ("GET", "/v1/pods/..%2Fx", "", 404),
        ("POST", "/v1/nodes", "", 405),
        ("PUT", "/v1/pods/other", json.dumps({"pod": pod()}), 400),
        ("DELETE", f"/v1/pods/{UID}?gracePeriodSeconds=-1", "", 400),
        ("DELETE", f"/v1/pods/{UID}?gracePeriodSeconds=x", "", 400),
        ("GET", f"/v1/pods/{UID}/log?tailLines=-1", "", 400),
        ("GET", f"/v1/pods/{UID}/log?limitBytes=0", "", 400),
        ("GET", f"/v1/pods/{UID}/log?sinceSeconds=0", "", 400),
        ("GET", f"/v1/pods/{UID}/log?sinceTime=now", "", 400),
        ("GET", f"/v1/pods/{UID}/log?follow=perhaps", "", 400),
        ("GET", f"/v1/pods/{UID}/log?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", "", 400),
        ("GET", f"/v1/pods/{UID}/log?tailLines=%C2%B2", "", 400),
        ("GET", "/v1/watch?since=3", "", 410),
        ("GET", "/v1/watch?since=x", "", 400),
        ("PUT", f"/v1/pods/{UID}/volumes", "{}", 400),
        ("PUT", f"/v1/pods/{UID}/volumes", '{"volumes":{"v":{"../x":{"data":""}}}}', 400),
        ("PUT", f"/v1/pods/{UID}/volumes", '{"volumes":{}}', 404),
        ("PUT", f"/v1/pods/{UID}", " " * 100_001, 413),
    ],
)
def test_refusals(server: testing.TestClient, method: str, path: str, body: str, status: int) -> None:
    answer = server.simulate_request(method, path, body=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json["status"] == status


def test_logs_with_kubernetes_parameters(server: testing.TestClient) -> None:
    put(server, log="1\n2\n3\n")
    for query, expected in (
        ("", b"1\n2\n3\n"),
        ("tailLines=2&container=main", b"2\n3\n"),
        ("tailLines=2&limitBytes=3", b"2\n3"),
        ("tailLines=0", b""),
        ("follow=true", b"1\n2\n3\n"),
    ):
        answer = server.simulate_get(f"/v1/pods/{UID}/log", query_string=query)
        assert (answer.status_code, answer.content) == (200, expected)
    assert server.simulate_get(f"/v1/pods/{UID}/log?container=nobody").status_code == 404
    assert server.simulate_head(f"/v1/pods/{UID}/log").status_code == 405


def test_volumes_reach_the_driver(server: testing.TestClient, composition: Composition, monkeypatch: Any) -> None:
    put(server, run="forever")
    seen: list[Any] = []
    monkeypatch.setattr(composition, "update", lambda ref, volumes: seen.append((ref.uid, volumes)))
    body = {"volumes": {"v": {"a/b": {"mode": 256, "data": base64.b64encode(b"\0x").decode()}}}}
    assert send(server, "PUT", f"/v1/pods/{UID}/volumes", body).status_code == 204
    [(uid, volumes)] = seen
    [file] = volumes["v"]
    assert (uid, file.path, file.mode, file.data) == (UID, "a/b", 256, b"\0x")


def test_a_driver_error_is_a_problem(server: testing.TestClient, composition: Composition) -> None:
    composition.mock.faults.inject(Fault.UNAVAILABLE, "create")
    answer = put(server)
    assert (answer.status_code, answer.json["type"]) == (503, "urn:interlink:engine-unavailable")
    assert answer.headers["retry-after"] == "5"


def test_streams_beyond_the_limit_are_503(server: testing.TestClient) -> None:
    put(server, run="forever")
    path = f"/v1/pods/{UID}/log"
    first, second = begin(server, path), begin(server, path)
    refused = server.simulate_get(path, query_string="follow=true")
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert server.simulate_get(path).status_code == 200, "reading without following needs no slot"
    first.close()
    third = begin(server, path)
    for body in (second, third):
        body.close()


def begin(client: testing.TestClient, path: str) -> Any:
    """Begin to follow, as a WSGI server does, without reading anything yet."""
    statuses: list[str] = []
    environ = testing.create_environ(path, query_string="follow=true")
    body = client.app(environ, lambda status, headers: statuses.append(status))
    assert statuses == ["200 OK"]
    return body


# --- the token


@pytest.fixture
def locked(composition: Composition, tmp_path: Path) -> tuple[testing.TestClient, Path]:
    file = tmp_path / "token"
    file.write_text("secret\n")
    return testing.TestClient(create_app(composition, token_file=file)), file


def ask(client: testing.TestClient, header: str | None, path: str = "/pinglink") -> int:
    headers = {} if header is None else {"Authorization": header}
    return client.simulate_get(path, headers=headers).status_code


def test_only_the_token_opens(locked: tuple[testing.TestClient, Path]) -> None:
    client, _ = locked
    assert ask(client, "Bearer secret") == ask(client, "bearer  secret ") == 200
    for header in (None, "", "Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "Basic secret", "Bearer sécret"):
        for path in ("/pinglink", "/v1/nodes", "/metrics", "/openapi.json", "/nope"):
            assert ask(client, header, path) == 401
    refused = client.simulate_get("/v1/nodes")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.headers["content-type"] == PROBLEM


def test_probes_need_no_token_and_tell_less_without(locked: tuple[testing.TestClient, Path]) -> None:
    client, _ = locked
    assert client.simulate_get("/healthz").text == "ok"
    assert client.simulate_get("/readyz").json == {"ok": True}
    told = client.simulate_get("/readyz", headers={"Authorization": "Bearer secret"}).json
    assert told == {"ok": True, "hosts": {"m": True}}


def test_a_changed_token_file_counts_at_once(locked: tuple[testing.TestClient, Path]) -> None:
    client, file = locked
    assert ask(client, "Bearer secret") == 200
    file.write_text("new-one\nother\n")
    assert [ask(client, f"Bearer {token}") for token in ("secret", "new-one", "other")] == [401, 200, 200]
    file.unlink()
    assert ask(client, "Bearer new-one") == 503


def test_a_bare_bearer_is_nothing_where_no_token_is_wanted(server: testing.TestClient) -> None:
    assert ask(server, "Bearer ") == 200


# --- probes and description


def test_readiness_is_503_when_something_is_wrong(
    sidecar: testing.TestClient, composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sidecar.simulate_get("/readyz").json == {"ok": True}
    monkeypatch.setattr(composition, "ready", lambda: {"ok": False})
    assert testing.TestClient(create_app(composition)).simulate_get("/readyz").status_code == 503
    composition.mock.faults.inject(Fault.UNAVAILABLE, "ping")
    assert sidecar.simulate_get("/readyz").status_code == 503


def test_metrics(server: testing.TestClient, composition: Composition) -> None:
    put(server, run="forever")
    server.simulate_get("/secret-looking-path")
    text = server.simulate_get("/metrics").text
    for line in (
        'interlink_http_requests_total{method="PUT",route="/v1/pods/{uid}",status="201"} 1.0',
        'interlink_http_requests_total{method="GET",route="other",status="404"} 1.0',
        'interlink_pods{phase="Running"} 1.0',
        'interlink_host_reachable{host="m"} 1.0',
        "interlink_http_streams 0.0",
    ):
        assert line in text.splitlines()
    assert "secret-looking" not in text
    composition.mock.faults.inject(Fault.UNAVAILABLE, "listing")
    less = server.simulate_get("/metrics")
    assert less.status_code == 200
    assert "interlink_pods{" not in less.text


def test_a_sidecar_has_the_contract_and_no_v1(sidecar: testing.TestClient) -> None:
    assert sidecar.simulate_get("/v1/pods").status_code == 404
    assert not [path for path in sidecar.simulate_get("/openapi.json").json["paths"] if path.startswith("/v1")]


def test_the_description_has_every_route_and_every_method_of_v1(server: testing.TestClient) -> None:
    document = server.simulate_get("/openapi.json").json
    app = server.app
    assert isinstance(app, falcon.App)
    described = {path: set(item) - {"parameters"} for path, item in document["paths"].items()}
    for path, methods in described.items():
        _, found, _, template = app._router.find(path.replace("{uid}", UID)) or pytest.fail(f"no route {path}")
        assert template == path
        real = {method.lower() for method, responder in found.items() if "method_not_allowed" not in str(responder)}
        if path.startswith("/v1"):
            assert methods == {method for method in real if method in ("get", "put", "post", "delete", "patch")}
        assert methods <= real


def test_what_a_node_has_used(server: testing.TestClient) -> None:
    put(server, run="forever", cpu="0.5", memory="4096")
    found = server.simulate_get("/v1/nodes/vk/stats").json
    assert (found["name"], found["cpuSeconds"], found["memoryBytes"]) == ("vk", 12.5, 1 << 30)
    (used,) = found["pods"]
    assert used["uid"] == UID
    (container,) = used["containers"]
    assert (container["memoryBytes"], container["cpuSeconds"] >= 0) == (4096, True)
    missing = server.simulate_get("/v1/nodes/nosuch/stats")
    assert (missing.status_code, missing.json["type"]) == (404, "urn:interlink:not-found")
