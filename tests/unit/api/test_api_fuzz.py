"""Nothing that a stranger sends makes the server fail: no 5xx, no traceback."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from falcon import testing
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from interlink.api.app import Limits, create_app
from tests.api.fakes import Composition, Feed
from tests.unit.api.test_api_contract import ENDPOINTS, LOG, UID, pod

# What a request may well be, to be spoilt in one place or another.
GOOD: list[Any] = [
    {"pod": pod(), "configmaps": [{"metadata": {"name": "m"}, "data": {"k": "v"}}], "secrets": None},
    {"pod": pod(), "container": [{"name": "main", "configMaps": None}], "jobConfig": {}},
    pod(),
    [pod()],
    {**LOG, "Opts": {"Tail": 1, "SinceTime": "0001-01-01T00:00:00Z", "Follow": False}},
    {"volumes": {"v": {"a": {"mode": 420, "data": "AAE="}}}},
]
RICH: dict[str, Any] = {
    "initContainers": [{"name": "i", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["true"]}}}],
    "volumes": [
        {"name": "v", "projected": {"sources": [{"configMap": {"name": "m", "items": [{"key": "k", "path": "p"}]}}]}},
        {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ],
    "securityContext": {"runAsUser": 0, "supplementalGroups": [1]},
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    "terminationGracePeriodSeconds": 1,
    "activeDeadlineSeconds": 2,
}
GOOD[0]["pod"]["spec"] |= RICH
JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from([1 << 70, -1, "\ud800", "\0", "../..", "x" * 300, UID, "Always"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, item in items for place in places(item, (*here, key)))]


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    value = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(value)))
        if not place:
            return draw(JUNK)
        target = value
        for key in place[:-1]:
            target = target[key]
        target[place[-1]] = draw(JUNK)
    return value


BODIES = st.one_of(
    st.binary(max_size=30),
    JUNK.map(lambda value: json.dumps(value).encode("utf-8", "replace")),
    spoilt().map(lambda value: json.dumps(value).encode("utf-8", "replace")),
)
PATHS = [*ENDPOINTS, f"/v1/pods/{UID}", f"/v1/pods/{UID}/volumes"]


@pytest.mark.parametrize("role", ["server", "sidecar"])
def test_spoilt_bodies(role: Any) -> None:
    composition = Composition()
    client = testing.TestClient(create_app(composition if role == "server" else composition.mock, role))

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(PATHS), st.sampled_from(["GET", "POST", "PUT", "DELETE"]), BODIES)
    def send(path: str, method: str, body: bytes) -> None:
        answer = client.simulate_request(method, path, body=body)
        assert answer.status_code < 500, answer.text
        assert "Traceback" not in answer.text
        # A report is always readable, and Go's decoder would take it.
        if answer.headers.get("content-type") == "application/json":
            json.loads(answer.text, parse_constant=pytest.fail)

    send()


class Brief(Composition):
    """Its watch ends at once: hypothesis finds /v1/watch too, for it tries the words of our own code."""

    def watch(self, since: int | None = None) -> Feed:
        feed = super().watch(since)
        feed.close()
        return feed


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
@example("watch", "", "")
def test_spoilt_paths_and_queries(path: str, query: str, header: str) -> None:
    client = testing.TestClient(create_app(Brief(), limits=Limits(streams=2)))
    for prefix in ("", "v1/", "v1/pods/", f"v1/pods/{UID}/log?tailLines=", f"v1/pods/{UID}?gracePeriodSeconds="):
        where = "/" + prefix + quote(path.encode("utf-8", "replace"), safe="?&=/")
        answer = client.simulate_get(
            where, headers={"Interlink-Http-Session": header.encode("latin-1", "replace").decode("latin-1")}
        )
        assert answer.status_code < 500, (where, answer.text)


# Not those that call leniency a mistake: any method and unknown keys are what the contract demands.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def described(role: Any) -> schemathesis.BaseSchema:
    composition = Composition()
    app = create_app(composition if role == "server" else composition.mock, role, limits=Limits(streams=4))
    config = SchemathesisConfig.from_dict({"generation": {"max-examples": 12}})
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)


schema = described("server").exclude(path="/v1/watch")  # never ends


@schema.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_everything_that_the_description_allows(case: schemathesis.Case) -> None:
    if isinstance(case.query, dict) and str(case.query.get("follow", "")).lower() in ("true", "1"):
        case.query["follow"] = "false"  # would wait for ever, as it should
    case.call_and_validate(checks=CHECKS)
