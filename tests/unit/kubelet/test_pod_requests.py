"""What becomes of env, services, tokens and events on their way to a backend."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlink.bundle import env, services
from interlink.bundle.env import Facts
from interlink.bundle.text import HostValue, literal
from interlink.kubelet import events, tokens
from interlink.kubelet.refresh import ROOT_CA_SECONDS, period_of, refreshable
from interlink.model.pod import Pod, PodRequest

ADDRESSES = {HostValue.POD_IP: "10.0.0.1", HostValue.HOST_IP: "192.0.2.1"}
NAMES = st.sampled_from(["A", "B", "C", "IP", "D)"])
VALUES = st.text(alphabet="$(ABCIP)x", max_size=12)
FIELDS = st.sampled_from(["status.podIP", "status.hostIP", "metadata.name"])
ENTRIES = st.lists(
    st.one_of(
        st.builds(lambda name, value: {"name": name, "value": value}, NAMES, VALUES),
        st.builds(lambda name, path: {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}, NAMES, FIELDS),
    ),
    max_size=8,
)


def request(entries: list[dict[str, Any]]) -> PodRequest:
    containers = [{"name": "c", "image": "i", "env": entries}]
    return PodRequest(
        Pod({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"containers": containers}})
    )


def seen(asked: PodRequest, facts: Facts | None = None) -> dict[str, str]:
    return {v.name: literal(v.value, ADDRESSES) for v in env.environment(asked, asked.pod.containers[0], facts)}


@settings(deadline=None)
@given(ENTRIES, st.dictionaries(st.sampled_from(["A", "S_HOST"]), VALUES))
def test_env_means_the_same_after_it_was_resolved(entries: list[dict[str, Any]], known: dict[str, str]) -> None:
    asked, facts = request(entries), Facts(services=known)
    spelled = env.spelled(asked, asked.pod.containers[0], facts)
    assert seen(request(spelled)) == seen(asked, facts)


def test_what_only_the_host_knows_stays_a_reference() -> None:
    field = {"fieldRef": {"fieldPath": "status.podIP"}}
    entries = [{"name": "IP", "valueFrom": field}, {"name": "URL", "value": "http://$(IP)/$$x$(NO)"}]
    asked = request(entries)
    assert env.spelled(asked, asked.pod.containers[0]) == [
        {"name": "IP", "valueFrom": field},
        {"name": "URL", "value": "http://$(IP)/$$x$$(NO)"},
    ]


def service(name: str, namespace: str = "n", address: str = "10.96.0.9", /, **port: Any) -> dict[str, Any]:
    ports = [{"port": 80, **port}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": address, "ports": ports}}


def pod(**spec: Any) -> Pod:
    return Pod({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec})


KUBERNETES = service("kubernetes", "default", "10.96.0.1", port=443, name="https")


def test_the_variables_of_a_service() -> None:
    found = services.variables(pod(), [service("my-web", name="http-x", protocol="UDP")])
    assert found == {
        "MY_WEB_SERVICE_HOST": "10.96.0.9",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP_X": "80",
        "MY_WEB_PORT": "udp://10.96.0.9:80",
        "MY_WEB_PORT_80_UDP": "udp://10.96.0.9:80",
        "MY_WEB_PORT_80_UDP_PROTO": "udp",
        "MY_WEB_PORT_80_UDP_PORT": "80",
        "MY_WEB_PORT_80_UDP_ADDR": "10.96.0.9",
    }


@pytest.mark.parametrize(
    ("spec", "listed", "hosts"),
    [
        ({}, [KUBERNETES, service("a")], {"A", "KUBERNETES"}),
        ({"enableServiceLinks": False}, [KUBERNETES, service("a")], {"KUBERNETES"}),
        ({}, [service("a", "n", "None"), service("b", "n", "")], set()),
        ({}, [service("a", "other"), service("b", "default")], set()),
    ],
)
def test_which_services_a_pod_sees(spec: dict[str, Any], listed: list[dict[str, Any]], hosts: set[str]) -> None:
    found = services.variables(pod(**spec), listed)
    assert {name.removesuffix("_SERVICE_HOST") for name in found if name.endswith("_SERVICE_HOST")} == hosts


def test_the_namespaces_own_kubernetes_wins() -> None:
    own = service("kubernetes", "n", "10.96.0.77")
    for listed in ([KUBERNETES, own], [own, KUBERNETES]):
        assert services.variables(pod(), listed)["KUBERNETES_SERVICE_HOST"] == "10.96.0.77"


def test_a_token_is_bound_to_its_pod_and_has_the_asked_audience() -> None:
    plain = tokens.token_request(pod(), {"path": "t"})["spec"]
    assert plain["boundObjectRef"]["uid"] == "u"
    assert plain["expirationSeconds"] == 3600
    assert "audiences" not in plain
    asked = tokens.token_request(pod(), {"path": "t", "audience": "me", "expirationSeconds": 700})["spec"]
    assert (asked["audiences"], asked["expirationSeconds"]) == (["me"], 700)


@pytest.mark.parametrize(("life", "renew"), [(3600, 2880), (600, 480), (864_000, 86_400), (-5, 1)])
def test_tokens_are_renewed_at_four_fifths_or_after_a_day(life: int, renew: float) -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    expires = (now + timedelta(seconds=life)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert tokens.renewal({"status": {"expirationTimestamp": expires}}, now) == renew


def api(**status: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]}
    return {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec, "status": status}


def shown(name: str, identity: str, **state: Any) -> dict[str, Any]:
    return {"name": name, "image": "img", "imageID": "sha256:1", "containerID": identity, "state": state}


def reasons(old: dict[str, Any], new: dict[str, Any], *pulled: str) -> list[tuple[str, str]]:
    found = events.started(api(**old), new, pulled)
    return [(event.reason, event.about["fieldPath"]) for event in found]


def test_starts_are_told_once() -> None:
    first = {"containerStatuses": [shown("c", "docker://1", running={})]}
    again = {"containerStatuses": [shown("c", "docker://2", running={})]}
    where = "spec.containers{c}"
    assert reasons({}, first) == [("Pulled", where), ("Created", where), ("Started", where)]
    assert reasons({}, first, "c") == [("Created", where), ("Started", where)]
    assert reasons(first, first) == []
    assert reasons(first, again) == [("Pulled", where), ("Created", where), ("Started", where)]


def test_of_a_plain_process_no_image_is_told() -> None:
    process = {**shown("c", "shell://1", running={}), "imageID": ""}
    where = "spec.containers{c}"
    assert reasons({}, {"containerStatuses": [process]}) == [("Created", where), ("Started", where)]


def test_an_init_is_told_by_its_place_and_a_start_that_failed_as_none() -> None:
    new = {"initContainerStatuses": [shown("i", "docker://1", terminated={"reason": "StartError"})]}
    assert reasons({}, new, "i") == [("Created", "spec.initContainers{i}")]


def test_what_waits_for_its_start_is_created_and_told_as_started_once_it_runs() -> None:
    created = {"containerStatuses": [shown("c", "docker://1", waiting={"reason": "ContainerCreating"})]}
    runs = {"containerStatuses": [shown("c", "docker://1", running={})]}
    refused = {"containerStatuses": [shown("c", "docker://1", terminated={"reason": "StartError"})]}
    where = "spec.containers{c}"
    assert reasons({}, created, "c") == [("Created", where)]
    assert reasons(created, runs) == [("Started", where)]
    assert reasons(created, refused) == []


def test_a_container_that_ended_and_waits_for_its_restart_was_started() -> None:
    ended = {"reason": "Error", "containerID": "docker://1"}
    waits = {"containerStatuses": [shown("c", "docker://1", waiting={"reason": "CrashLoopBackOff"})]}
    waits["containerStatuses"][0]["lastState"] = {"terminated": ended}
    where = "spec.containers{c}"
    assert reasons({}, waits, "c") == [("Created", where), ("Started", where)]
    assert reasons(waits, waits) == []


def test_which_volumes_are_refreshed_and_how_often() -> None:
    root = {"name": "a", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}}
    other = {"name": "b", "configMap": {"name": "mine"}}
    assert not refreshable(pod(volumes=[{"name": "e", "emptyDir": {}}]))
    assert refreshable(pod(volumes=[root]))
    assert period_of(pod(volumes=[root])) == ROOT_CA_SECONDS
    assert period_of(pod(volumes=[root, other])) < 60


def test_waiting_for_an_image_and_a_passed_deadline_are_told_once() -> None:
    waits = {"containerStatuses": [{"name": "c", "image": "img", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}
    over = {**waits, "reason": "DeadlineExceeded", "message": "too long"}
    assert [event.reason for event in events.turned(api(), waits)] == ["BackOff"]
    assert [event.reason for event in events.turned(api(**waits), over)] == ["DeadlineExceeded"]
    assert list(events.turned(api(**over), over)) == []
