"""The six endpoints: every row of what our server answers, and the leniency that we owe."""

from __future__ import annotations

import json
from typing import Any

import pytest
from falcon import testing

from interlink.drivers.mock import Fault
from tests.api.fakes import Composition

UID = "12345678-1234-1234-1234-123456789abc"
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
ENDPOINTS = ["/create", "/delete", "/status", "/getLogs", "/pinglink", "/updateCache"]


def pod(**annotations: str) -> dict[str, Any]:
    plan = {f"mock.interlink.eu/{key}": value for key, value in annotations.items()}
    metadata = {"name": "p1", "namespace": "default", "uid": UID, "annotations": plan}
    return {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "x"}], "restartPolicy": "Never"}}


def send(client: testing.TestClient, method: str, path: str, value: Any = None) -> testing.Result:
    return client.simulate_request(method, path, body=json.dumps(value))


# --- the examples of the reference, literally


def test_the_example_create_and_its_reply(server: testing.TestClient, composition: Composition, case: Any) -> None:
    answer = server.simulate_post("/create", body=case("create-request"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {"PodUID": UID, "PodJID": f"mock-{UID}"}
    request = composition.requests[UID]
    assert [volume["name"] for volume in request.pod.volumes] == ["cm", "sec", "ed", "kube-api-access-x"]
    assert (request.configmap("mycm") or {})["binaryData"] == {"b": "AAE="}
    assert (request.secret("mysec") or {})["data"] == {"pw": "czNjcmV0"}
    assert (request.projection("kube-api-access-x") or {})["data"]["token"] == "TOKEN"


def test_the_examples_of_status_logs_and_delete(server: testing.TestClient, case: Any) -> None:
    server.simulate_post("/create", body=case("create-request"))
    status = server.simulate_get("/status", body=case("status-request"))
    assert status.status_code == 200
    [report] = status.json
    assert (report["name"], report["UID"], report["namespace"]) == ("p1", UID, "default")
    assert [item["name"] for item in report["containers"]] == ["main"]
    assert [item["name"] for item in report["initContainers"]] == ["init"]
    logs = server.simulate_get("/getLogs", body=case("logs-request"))
    assert (logs.status_code, logs.content) == (200, b"")
    deleted = server.simulate_delete("/delete", body=case("delete-request"))
    assert deleted.status_code == 200
    assert server.simulate_get("/status", body=case("status-request")).json == []


def test_the_example_of_the_plugin_contract(sidecar: testing.TestClient, composition: Composition, case: Any) -> None:
    answer = sidecar.simulate_post("/create", body=case("retrieved-pod-data"))
    assert (answer.status_code, answer.json["PodUID"]) == (200, UID)
    assert len(sidecar.simulate_get("/status", body=case("status-request")).json) == 1
    assert sidecar.simulate_post("/delete", body=case("delete-request")).status_code == 200


@pytest.mark.parametrize("body", ["", "null", "[]"])
def test_an_empty_status_asks_a_server_for_all_and_pings_a_sidecar(
    server: testing.TestClient, sidecar: testing.TestClient, body: str
) -> None:
    assert server.simulate_get("/status", body=body).json == []
    send(server, "POST", "/create", {"pod": pod()})
    assert [item["UID"] for item in server.simulate_get("/status", body=body).json] == [UID]
    assert sidecar.simulate_get("/status", body=body).json["status"] == "ok"


def test_ping(server: testing.TestClient) -> None:
    answer = server.simulate_post("/pinglink")
    assert answer.json == {
        "status": "ok",
        "resources": {"cpu": "64", "accelerators": [{"resourceType": "nvidia.com/gpu", "available": "2"}]},
        "taints": [{"key": "k", "effect": "NoSchedule"}],
    }


# --- replies to bad requests


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/create", "{", "not JSON"),
        ("/create", "", "metadata.uid"),
        ("/create", "{}", "metadata.uid"),
        ("/create", "null", "metadata.uid"),
        ("/create", "[]", "list of one"),
        ("/create", "[{},{}]", "list of one"),
        ("/create", '{"pod":[]}', "pod: must be an object"),
        ("/create", '{"pod":{"metadata":{"uid":7}}}', "metadata.uid: must be a string, not a number"),
        ("/create", '{"pod":{"metadata":{"uid":"../x"}}}', "metadata.uid"),
        ("/create", '{"pod":{"metadata":{"uid":"u","name":"p"}}}', "spec.containers"),
        ("/create", '{"pod":{"metadata":{"uid":"u","name":"p"},"spec":{"containers":[{}]}}}', "containers[0].name"),
        ("/create", '{"configmaps":{}}', "configmaps: must be a list"),
        ("/create", '{"secrets":[{"data":{"k":"!"}}]}', "secrets[0].data['k']: must be padded base64"),
        ("/create", '{"pod":{"metadata":{"labels":{"a":1}}}}', "metadata.labels['a']"),
        ("/create", '{"pod":NaN}', "not JSON"),
        ("/create", "\ufeff{}", "not JSON"),
        ("/create", "{} x", "not JSON"),
        ("/create", "[" * 100_000, "not JSON"),
        ("/create", "9" * 5000, "not JSON"),
        ("/status", "[", "not JSON"),
        ("/status", "[1]", "must be an object"),
        ("/status", '"x"', "must be a list"),
        ("/status", "[{}]", "[0].metadata.uid"),
        ("/delete", "[", "not JSON"),
        ("/delete", "", "metadata.uid"),
        ("/delete", "null", "metadata.uid"),
        ("/updateCache", "", "metadata.uid"),
        ("/updateCache", "{", "not JSON"),
    ],
)
def test_a_bad_body_is_400_and_names_what_is_wrong(
    server: testing.TestClient, sidecar: testing.TestClient, path: str, body: str, said: str
) -> None:
    for client in (server, sidecar):
        answer = client.simulate_post(path, body=body.encode())
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/plain")
        assert said in answer.text
        assert "\n" not in answer.text


LOG = {"Namespace": "default", "PodUID": UID, "PodName": "p1", "ContainerName": "main"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "invalid request body"),
        ("[]", "invalid request body"),
        ({"Opts": {"Tail": "1"}, "Namespace": "?"}, "invalid request body"),
        ({**LOG, "Opts": {"SinceTime": ""}}, "invalid request body"),
        ({**LOG, "Opts": {"SinceTime": "2026-01-01 00:00:00Z"}}, "invalid request body"),
        ({**LOG, "Namespace": "?", "PodUID": "?"}, "invalid namespace: must be a valid DNS label"),
        ({**LOG, "PodUID": UID.upper(), "ContainerName": "?"}, "invalid pod UID: must be a valid UUID"),
        (
            {**LOG, "ContainerName": "A", "Opts": {"Tail": 1, "Bytes": 1}},
            "invalid container name: must be a valid DNS label",
        ),
        (
            {**LOG, "Opts": {"Tail": 1, "Bytes": 1, "SinceSeconds": 1, "SinceTime": "2026-01-01T00:00:00Z"}},
            "Both Tail and LimitBytes set. Set only one of them",
        ),
        ({**LOG, "Opts": {"Tail": 1, "LimitBytes": 1}}, "Both Tail and LimitBytes set. Set only one of them"),
        (
            {**LOG, "Opts": {"SinceSeconds": 1, "SinceTime": "2026-01-01T00:00:00Z"}},
            "Both SinceSeconds and SinceTime set. Set only one of them",
        ),
    ],
)
def test_log_checks_in_order(server: testing.TestClient, body: Any, said: str) -> None:
    answer = server.simulate_get("/getLogs", body=body if isinstance(body, str) else json.dumps(body))
    assert (answer.status_code, answer.text) == (400, said)


def test_logs_of_an_unknown_pod_are_404(server: testing.TestClient) -> None:
    assert send(server, "GET", "/getLogs", LOG).status_code == 404


def test_unknown_paths_are_404(server: testing.TestClient) -> None:
    for path in ("/", "/nope", "/create/x", "/ping", "/genericCall", "/setKubeCFG"):
        answer = server.simulate_post(path, body="{}")
        assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_an_oversized_body_is_413(server: testing.TestClient) -> None:
    for path in ENDPOINTS:
        if path != "/pinglink":  # has no body to read
            assert server.simulate_post(path, body=b" " * 100_001).status_code == 413


def test_a_job_script_url_is_refused_by_name(server: testing.TestClient) -> None:
    answer = send(server, "POST", "/create", {"pod": pod(), "jobscriptURL": "http://x/"})
    assert answer.status_code == 422
    assert answer.text.startswith("jobscriptURL: ")


# --- leniency


@pytest.mark.parametrize("method", METHODS)
def test_any_method_works(server: testing.TestClient, method: str) -> None:
    assert send(server, method, "/create", {"pod": pod(log="hello\n")}).status_code == 200
    assert len(send(server, method, "/status", [pod()]).json) == 1
    assert send(server, method, "/getLogs", LOG).content == b"hello\n"
    assert send(server, method, "/updateCache", pod()).text == "Updated cache"
    assert send(server, method, "/pinglink").json["status"] == "ok"
    assert send(server, method, "/delete", pod()).status_code == 200


def test_one_trailing_slash_is_tolerated(server: testing.TestClient) -> None:
    assert server.simulate_post("/pinglink/").status_code == 200
    assert server.simulate_post("/pinglink//").status_code == 404


def test_a_list_of_one_is_answered_by_a_list_of_one(server: testing.TestClient) -> None:
    assert send(server, "POST", "/create", [{"pod": pod()}]).json == [{"PodUID": UID, "PodJID": f"mock-{UID}"}]


def test_a_bare_pod_on_status(server: testing.TestClient) -> None:
    send(server, "POST", "/create", {"pod": pod()})
    assert len(send(server, "GET", "/status", pod()).json) == 1


@pytest.mark.parametrize("body", [UID, f'"{UID}"', json.dumps(pod())])
def test_update_cache_takes_a_pod_or_a_bare_uid(server: testing.TestClient, body: str) -> None:
    answer = server.simulate_post("/updateCache", body=body)
    assert (answer.status_code, answer.text) == (200, "Updated cache")


def test_keys_of_structs_in_any_case_but_never_keys_of_maps(
    server: testing.TestClient, composition: Composition
) -> None:
    body = {
        "POD": {
            "Metadata": {"NAME": "p1", "Uid": UID, "labels": {"Name": "kept"}, "annotations": None},
            "spec": {"Containers": [{"Name": "main", "IMAGE": "x", "env": None}], "future": {"Name": 1}},
        },
        "ConfigMaps": None,
    }
    assert send(server, "POST", "/create", body).status_code == 200
    made = composition.requests[UID].pod
    assert (made.name, made.namespace, made.labels) == ("p1", "default", {"Name": "kept"})
    assert made.containers[0].image == "x"
    assert made.spec["future"] == {"Name": 1}
    assert composition.requests[UID].configmaps == ()


def test_create_is_idempotent_and_a_deleted_pod_stays_deleted(server: testing.TestClient) -> None:
    first = send(server, "POST", "/create", {"pod": pod(run="forever")}).json
    assert send(server, "POST", "/create", {"pod": pod(run="forever")}).json == first
    assert send(server, "DELETE", "/delete", pod()).status_code == 200
    assert send(server, "DELETE", "/delete", pod()).status_code == 200
    again = send(server, "POST", "/create", {"pod": pod()})
    assert (again.status_code, again.json["PodUID"]) == (200, UID)
    assert send(server, "GET", "/status", [pod()]).json == []


def test_status_keeps_the_order_of_what_was_asked(server: testing.TestClient) -> None:
    uids = [UID.replace("9abc", f"000{n}") for n in range(4)]
    pods = [{**pod(), "metadata": {**pod()["metadata"], "uid": uid, "name": f"p{n}"}} for n, uid in enumerate(uids)]
    for item in pods[:3]:
        send(server, "POST", "/create", {"pod": item})
    report = send(server, "GET", "/status", [pods[2], pods[3], pods[0]]).json
    assert [item["UID"] for item in report] == [uids[2], uids[0]]


# --- errors of the driver


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.UNAVAILABLE, 503), (Fault.LOST_BEFORE, 504), (Fault.REFUSED, 422)]
)
def test_driver_errors(server: testing.TestClient, composition: Composition, fault: Fault, status: int) -> None:
    composition.mock.faults.inject(fault, "create")
    answer = send(server, "POST", "/create", {"pod": pod()})
    assert answer.status_code == status
    assert "as injected" in answer.text
    assert ("retry-after" in answer.headers) == (status != 422)


def test_a_bug_is_500_without_a_traceback(
    server: testing.TestClient, composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "create", lambda request: 1 / 0)
    answer = server.simulate_post(
        "/create", body=json.dumps({"pod": pod()}), headers={"InterLink-Http-Session": "CreatePod#7"}
    )
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert "CreatePod#7" in answer.text


def test_the_session_is_the_clients_or_a_new_one(server: testing.TestClient) -> None:
    given = server.simulate_get("/healthz", headers={"Interlink-Http-Session": "GetStatus#12"})
    assert given.headers["interlink-http-session"] == "GetStatus#12"
    for bad in ("", "a b", "x" * 200):
        made = server.simulate_get("/healthz", headers={"Interlink-Http-Session": bad})
        assert made.headers["interlink-http-session"].startswith("Request-")
