"""JSON text, times, and round trips of everything that has two directions."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlink.errors import (
    InterlinkError,
    InvalidPod,
    LaunchFailed,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    Unsupported,
)
from interlink.model.driver import (
    Change,
    Created,
    HostRecord,
    LogQuery,
    NodeRecord,
    Ping,
    PodEvent,
    PodRecord,
    Taint,
    VolumeFile,
)
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, Terminated, Waiting
from interlink.model.wire import contract, gojson, plugin, problems, v1
from interlink.model.wire.problems import AlreadyDeleted

UTC = timezone.utc
UID = "12345678-1234-1234-1234-123456789abc"

# --- text


@pytest.mark.parametrize(
    "body", [b"", b"\xef\xbb\xbf{}", b"NaN", b"Infinity", b"1e999", b"{} {}", b"'a'", b"[" * 10**6]
)
def test_what_go_refuses_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidPod, match="not JSON"):
        gojson.decode(body)


def test_broken_text_becomes_the_replacement_character() -> None:
    assert gojson.decode(b'["\xff", "\\ud800", {"\\udfff": "\\ud83d\\ude00"}]') == [
        "\ufffd",
        "\ufffd",
        {"\ufffd": "😀"},
    ]
    assert gojson.encode({"a": "\ud800é"}) == '{"a":"\ufffdé"}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        gojson.encode(math.nan)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_comes_back(value: Any) -> None:
    assert gojson.decode(gojson.encode(value)) == value


# --- times


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00.123456789Z", datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-01T01:30:00+01:30", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2025-12-31T19:00:00-05:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_times_that_go_reads(text: str, moment: datetime | None) -> None:
    assert gojson.parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01t00:00:00Z",
            "2026-01-01T00:00:00z",
        ),
        *("2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00", "1"),
    ],
)
def test_times_that_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        gojson.parse_time(text)


MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
ZONED = st.builds(
    lambda moment, minutes: moment.astimezone(timezone(timedelta(minutes=minutes))), MOMENTS, st.integers(-840, 840)
)


@given(ZONED)
def test_times_come_back(moment: datetime) -> None:
    assert gojson.parse_time(gojson.format_precise(moment) or "") == moment
    assert gojson.parse_time(gojson.format_time(moment) or "") == moment.replace(microsecond=0)
    assert gojson.format_time(None) is None


# --- the contract


def test_the_examples_go_through_the_server_as_go_would_send_them(example: Any) -> None:
    request = contract.create_request(example("create-request"))
    assert _without_nulls(contract.create_json(request)) == _without_nulls(example("create-request"))
    assert _without_nulls(plugin.retrieved_json(request)) == _without_nulls(example("retrieved-pod-data"))
    assert plugin.retrieved(example("retrieved-pod-data")) == request
    assert contract.created_json(contract.created(example("create-reply"))) == example("create-reply")
    assert contract.log_json(contract.log_query(example("logs-request"))) == example("logs-request")
    assert contract.ping_json(contract.ping(example("ping-reply"))) == example("ping-reply")
    [ref] = contract.pod_refs(example("status-request")) or []
    assert _without_nulls(contract.refs_json([ref])) == _without_nulls(example("status-request"))
    deleted = contract.pod_ref(example("delete-request"))
    assert (deleted.uid, contract.grace_of(Pod(deleted.raw))) == (UID, 30)


def test_what_old_plugins_answer_to_a_create() -> None:
    assert contract.created([{"PodUID": "u", "PodJID": 42}]) == Created("u", "42")
    assert contract.created({"pod_uid": "u"}) == Created("u", "u")
    for bad in (None, [], "", {"PodJID": "1"}, {"PodUID": ""}, [1, 2]):
        with pytest.raises(InvalidPod):
            contract.created(bad)


@pytest.mark.parametrize(("value", "ping"), [("anything", Ping()), ([], Ping()), ({"resources": {"cpu": 4}}, Ping())])
def test_any_answer_to_a_ping_says_that_somebody_is_there(value: Any, ping: Ping) -> None:
    assert contract.ping(value) == ping


def test_taints_absent_and_taints_empty_differ() -> None:
    assert "taints" not in contract.ping_json(Ping())
    assert contract.ping_json(Ping(taints=()))["taints"] == []
    assert contract.ping({"taints": []}).taints == ()


LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
UIDS = st.uuids().map(str)
COUNTS = st.none() | st.integers(1, 1 << 40)


@given(UIDS, LABELS, LABELS, COUNTS, st.none() | MOMENTS, st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_log_queries_come_back(
    uid: str, namespace: str, container: str, count: int | None, since: datetime | None, flags: tuple[bool, bool, bool]
) -> None:
    query = LogQuery(
        PodRef(uid, namespace, "p"),
        container,
        tail=count,
        since_time=since,
        timestamps=flags[0],
        follow=flags[1],
        previous=flags[2],
    )
    assert contract.log_query(contract.log_json(query)) == query


OBJECTS = st.builds(
    lambda name, data: {"metadata": {"name": name}, "data": data}, LABELS, st.dictionaries(LABELS, st.text())
)


@given(UIDS, LABELS, st.lists(OBJECTS, max_size=2), st.dictionaries(st.text(), st.text(), max_size=3))
def test_creates_come_back(uid: str, name: str, maps: list[Any], labels: dict[str, str]) -> None:
    raw = {
        "metadata": {"name": name, "namespace": "n", "uid": uid, "labels": labels},
        "spec": {"containers": [{"name": "main", "unknown": [None, {"A": None}]}]},
    }
    request = PodRequest(Pod(raw), configmaps=tuple(maps), projected=tuple(maps))
    assert contract.create_request(contract.create_json(request)) == request
    for resolved in (True, False):
        ours = replace(request, resolved=resolved, origin=name)
        assert contract.create_request(v1.create_json(ours)) == ours


# --- v1

TEXT = st.text(max_size=10)
SECONDS = st.none() | MOMENTS.map(lambda moment: moment.replace(microsecond=0))
TERMINATED = st.builds(Terminated, st.integers(0, 255), TEXT, TEXT, st.integers(0, 31), SECONDS, SECONDS, TEXT)
STATE = st.one_of(st.builds(Waiting, TEXT, TEXT), st.builds(Running, SECONDS), TERMINATED)


def containers(kinds: list[Kind]) -> st.SearchStrategy[list[ContainerStatus]]:
    one = st.builds(
        ContainerStatus,
        LABELS,
        st.sampled_from(kinds),
        TEXT,
        TEXT,
        TEXT,
        STATE,
        st.none() | TERMINATED,
        st.booleans(),
        st.booleans(),
        st.integers(0, 99),
    )
    return st.lists(one, max_size=2)


@st.composite
def records(draw: st.DrawFn) -> PodRecord:
    uid, namespace, name = draw(UIDS), draw(LABELS), draw(LABELS)
    boxes = (*draw(containers([Kind.INIT, Kind.SIDECAR])), *draw(containers([Kind.MAIN])))
    status = PodStatus(
        uid,
        namespace,
        name,
        draw(TEXT),
        draw(st.sampled_from(list(Phase))),
        draw(TEXT),
        draw(TEXT),
        boxes,
        draw(TEXT),
        draw(TEXT),
        draw(SECONDS),
        draw(st.none() | MOMENTS),
    )
    target = draw(st.sampled_from(["run", "deleted"]))
    return PodRecord(
        uid, namespace, name, draw(TEXT), draw(TEXT), target, status, draw(TEXT), draw(st.booleans()), draw(TEXT)
    )


FACTS = st.dictionaries(TEXT, JSON, max_size=2)
QUANTITIES = st.dictionaries(TEXT, TEXT, max_size=2)
NODES = st.builds(
    NodeRecord,
    TEXT,
    QUANTITIES,
    QUANTITIES,
    QUANTITIES,
    st.lists(st.builds(Taint, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    st.lists(FACTS, max_size=2).map(tuple),
)
HOSTS = st.builds(HostRecord, TEXT, st.lists(TEXT).map(tuple), TEXT, st.booleans(), TEXT, FACTS, FACTS)
EVENTS = st.builds(PodEvent, TEXT, TEXT, TEXT, MOMENTS, st.sampled_from(["Normal", "Warning"]), TEXT)


@given(records())
def test_pods_come_back(record: PodRecord) -> None:
    assert v1.pod(json.loads(gojson.encode(v1.pod_json(record)))) == record


@given(NODES, HOSTS)
def test_nodes_and_hosts_come_back(node: NodeRecord, host: HostRecord) -> None:
    assert v1.node(json.loads(gojson.encode(v1.node_json(node)))) == node
    assert v1.host(json.loads(gojson.encode(v1.host_json(host)))) == host


@given(
    st.one_of(
        st.tuples(st.just("pod"), records()),
        st.tuples(st.just("node"), NODES),
        st.tuples(st.just("event"), EVENTS),
        st.tuples(st.just("bookmark"), st.none()),
    ),
    st.integers(0, 1 << 60),
)
def test_changes_come_back_from_one_line(kind: tuple[Any, Any], seq: int) -> None:
    change = Change(seq, *kind)
    line = v1.change_line(change)
    assert line.count(b"\n") == 1
    assert v1.change(gojson.decode(line)) == change


def test_a_line_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidPod, match="type"):
        v1.change({"seq": 1, "type": "weather"})


PATHS = st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True), min_size=1, max_size=3).map("/".join)
FILES = st.lists(st.builds(VolumeFile, PATHS, st.integers(0, 0o777), st.binary()), unique_by=lambda file: file.path)


@given(st.dictionaries(LABELS, FILES, max_size=2))
def test_volumes_come_back(volumes: dict[str, list[VolumeFile]]) -> None:
    assert v1.volumes(json.loads(gojson.encode(v1.volumes_json(volumes)))) == volumes


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a/../b", "..", "./a", "a//b", "a/", "a\0b"])
def test_a_file_outside_its_volume_is_refused(path: str) -> None:
    with pytest.raises(InvalidPod, match="relative path"):
        v1.volumes({"volumes": {"v": {path: {"data": ""}}}})


@pytest.mark.parametrize("mode", [-1, 0o1000, 0o4755])
def test_a_mode_beyond_permissions_is_refused(mode: int) -> None:
    with pytest.raises(InvalidPod, match="permission bits"):
        v1.volumes({"volumes": {"v": {"f": {"data": "", "mode": mode}}}})


# --- problems


@pytest.mark.parametrize(
    "error",
    [
        InvalidPod("is missing", field="spec.containers"),
        Unsupported("no", field="spec.hostNetwork"),
        LaunchFailed("BadImage", "no such thing"),
        AlreadyDeleted("gone"),
        Unavailable("later"),
        OutcomeUnknown("who knows"),
    ],
)
def test_our_errors_come_back_as_they_were(error: InterlinkError) -> None:
    body = gojson.encode(problems.problem_json(400, "T", str(error), "r", error))
    again = problems.error_of(400, body, reads=False, peer="p")
    assert (type(again), str(again)) == (type(error), str(error))
    assert getattr(again, "field", None) == getattr(error, "field", None)
    assert getattr(again, "reason", None) == getattr(error, "reason", None)


def test_a_page_that_is_not_there_is_told_by_what_that_means() -> None:
    error = problems.error_of(404, b"404 page not found", reads=True, peer="p", missing="no /v1 is there")
    assert (type(error), str(error)) == (Unavailable, "p: no /v1 is there (HTTP 404)")
    body = gojson.encode(problems.problem_json(404, "T", "no such pod", "r", NotFound("no such pod")))
    known = problems.error_of(404, body, reads=True, peer="p", missing="no /v1 is there")
    assert (type(known), str(known)) == (NotFound, "no such pod")


@pytest.mark.parametrize(
    ("status", "reads", "kind"),
    [
        (400, False, InvalidPod),
        (413, False, InvalidPod),
        (422, False, Unsupported),
        *((status, False, Unavailable) for status in (401, 403, 404, 408, 409, 429, 503)),
        *((status, False, OutcomeUnknown) for status in (500, 502, 504)),
        (500, True, Unavailable),
    ],
)
def test_strangers_errors(status: int, reads: bool, kind: type[Exception]) -> None:
    error = problems.error_of(status, b"<html>\nproxy  says no</html>", reads=reads, peer="p")
    assert isinstance(error, kind)
    assert "proxy says no" in str(error)
    assert "\n" not in str(error)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None and key != "status"}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
