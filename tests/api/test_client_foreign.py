"""The client of other people's servers and plugins, with the habits that those have."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from interlink.client import Client, ContractClient, calls, messages
from interlink.client.messages import Request
from interlink.client.transport import Transport
from interlink.errors import (
    ConfigError,
    ConnectionLost,
    DeadlineExceeded,
    HostUnreachable,
    InvalidPod,
    LoginRefused,
    OutcomeUnknown,
    Unavailable,
    Unsupported,
)
from interlink.model.driver import Created, LogQuery, Ping
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import Kind, Phase
from interlink.model.wire import gojson

UID = "12345678-1234-1234-1234-123456789abc"
Answer = tuple[int, Any] | None  # None: the connection is cut


class Peer:
    """A scripted server; remembers what it was asked."""

    def __init__(self, script: Callable[[str, Any], Answer]) -> None:
        self.script, self.seen = script, []  # type: ignore[var-annotated]
        self.headers: list[dict[str, str]] = []
        self.url = ""

    @property
    def calls(self) -> list[str]:
        return [call for call, _ in self.seen]


@contextmanager
def peer(script: Callable[[str, Any], Answer]) -> Iterator[Peer]:
    made = Peer(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call, body = f"{self.command} {self.path}", json.loads(text) if text else None
            made.seen.append((call, body))
            made.headers.append(dict(self.headers))
            answer = made.script(call, body)
            if answer is None:
                self.close_connection = True
                return
            status, value = answer
            data = value if isinstance(value, bytes) else gojson.encode(value)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(ConnectionError):  # some tests leave before the answer
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def request(uid: str = UID) -> PodRequest:
    raw = {
        "metadata": {"name": "p1", "namespace": "default", "uid": uid},
        "spec": {
            "initContainers": [{"name": "side", "image": "i", "restartPolicy": "Always"}],
            "containers": [{"name": "main", "image": "i"}],
        },
    }
    return PodRequest(Pod(raw))


def ref(uid: str = UID) -> PodRef:
    return PodRef.of(request(uid).pod)


def reported(uid: str, code: int = 0) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": code}}
    containers = [{"name": "main", "state": ended}]
    return {"name": "p1", "UID": uid, "namespace": "default", "JID": "7", "containers": containers}


def made(uid: str = UID) -> dict[str, str]:
    return {"PodUID": uid, "PodJID": "42"}


def test_the_methods_of_a_server_and_of_a_plugin() -> None:
    def script(call: str, body: Any) -> Answer:
        return 200, made() if "create" in call else [] if "status" in call else {}

    with peer(script) as there:
        for kind in ("server", "plugin"):
            with closing(ContractClient(there.url, kind)) as client:  # type: ignore[arg-type]
                client.create(request())
                client.delete(ref(), 5)
                client.status([ref()])
                client.ping()
        assert there.calls == [
            *("POST /create", "DELETE /delete", "GET /status", "POST /pinglink"),
            *("POST /create", "POST /delete", "GET /status", "GET /status"),
        ]
        bodies = [body for _, body in there.seen]
        assert "configmaps" in bodies[0]
        assert "container" in bodies[4]
        assert bodies[1]["metadata"]["deletionGracePeriodSeconds"] == 5
        assert bodies[2] == [request().pod.raw]
        assert bodies[7] == []
        assert all(item["Interlink-Http-Session"].partition("#")[1] for item in there.headers)
        assert not [item for item in there.headers if "Authorization" in item]


@pytest.mark.parametrize("answer", [made(), [made()], {"pod_uid": UID, "pod_jid": 42}])
def test_answers_to_a_create(answer: Any) -> None:
    with (
        peer(lambda call, body: (200, answer)) as there,
        closing(ContractClient(there.url, "plugin", listed=True)) as c,
    ):
        assert c.create(request()) == Created(UID, "42")
        assert isinstance(there.seen[0][1], list)


def test_a_create_without_an_answer_is_looked_up_before_it_is_sent_again() -> None:
    known: list[Any] = []

    def script(call: str, body: Any) -> Answer:
        if "create" in call:
            known.append(reported(UID))
            return None
        return 200, known

    with peer(script) as there, closing(ContractClient(there.url)) as client:
        with pytest.raises(ConnectionLost):
            client.create(request())
        assert client.create(request()) == Created(UID, "7", "existing")
        assert there.calls == ["POST /create", "GET /status"]


def test_a_create_that_never_arrived_is_sent_again() -> None:
    answers: list[Answer] = [None, (200, None), (200, made())]
    with peer(lambda call, body: answers.pop(0)) as there, closing(ContractClient(there.url)) as client:
        with pytest.raises(OutcomeUnknown):
            client.create(request())
        assert client.create(request()).jid == "42"
        assert there.calls == ["POST /create", "GET /status", "POST /create"]


@pytest.mark.parametrize("answer", [(200, b"some error text"), (200, b""), (200, {}), (500, b"panic"), (502, b"")])
def test_a_create_answered_by_something_else_is_of_unknown_outcome(answer: Answer) -> None:
    with (
        peer(lambda call, body: answer) as there,
        closing(ContractClient(there.url)) as client,
        pytest.raises(OutcomeUnknown),
    ):
        client.create(request())


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidPod), (422, Unsupported), (401, LoginRefused), (429, Unavailable), (503, Unavailable)],
)
def test_a_refused_create_may_simply_be_made_again(status: int, kind: type[Exception]) -> None:
    answers: list[Answer] = [(status, b"no"), (200, made())]
    with peer(lambda call, body: answers.pop(0)) as there, closing(ContractClient(there.url)) as client:
        with pytest.raises(kind, match="no"):
            client.create(request())
        client.create(request())
        assert there.calls == ["POST /create", "POST /create"]


def test_a_peer_that_looks_at_the_first_pod_only_is_asked_singly_from_then_on() -> None:
    uids = ["a", "b", "c"]

    def script(call: str, body: Any) -> Answer:
        uid = body[0]["metadata"]["uid"]
        return (404, b"unknown job") if uid == "b" else (200, [reported(uid), reported("stranger")])

    with peer(script) as there, closing(ContractClient(there.url, "plugin")) as client:
        for _ in range(2):
            assert [status.uid for status in client.status([ref(uid) for uid in uids])] == ["a", "c"]
        assert [len(body) for _, body in there.seen] == [3, 1, 1, 1, 1, 1, 1]


def test_a_batch_that_fails_for_one_pod_is_asked_singly() -> None:
    def script(call: str, body: Any) -> Answer:
        return (500, b"one is unknown") if len(body) > 1 else (200, [reported(body[0]["metadata"]["uid"], 3)])

    with peer(script) as there, closing(ContractClient(there.url, "plugin")) as client:
        seen = client.status([ref("a"), ref("b")])
        assert [(status.uid, status.phase) for status in seen] == [("a", Phase.FAILED), ("b", Phase.FAILED)]


def test_nothing_known_is_nothing_and_sidecars_are_told_by_the_manifest() -> None:
    report = reported(UID) | {"initContainers": [{"name": "side", "state": {"running": {}}}]}
    answers: list[Answer] = [(200, None), (200, []), (200, [report])]
    with peer(lambda call, body: answers.pop(0)) as there, closing(ContractClient(there.url)) as client:
        assert client.status([]) == client.status([ref()]) == client.status([ref()]) == []
        [status] = client.status([ref()])
        assert [item.kind for item in status.containers] == [Kind.SIDECAR, Kind.MAIN]


def test_an_unreachable_peer_is_not_an_empty_one(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:1", f"unix://{tmp_path}/none.sock"):
        with closing(ContractClient(url, "plugin")) as client:
            for call in (
                lambda c=client: c.status([ref("a"), ref("b")]),
                lambda c=client: c.create(request()),
                client.ping,
            ):
                with pytest.raises(HostUnreachable, match="cannot be reached"):
                    call()


@pytest.mark.parametrize("answer", [(200, b""), (200, b"pong"), (200, []), (200, {"resources": {"cpu": 4}})])
def test_any_answer_to_a_ping_will_do(answer: Answer) -> None:
    with peer(lambda call, body: answer) as there, closing(ContractClient(there.url, "plugin")) as client:
        assert client.ping() == Ping()


def test_a_ping_that_fails_fails() -> None:
    with peer(lambda call, body: (500, b"IndexError")) as there, closing(ContractClient(there.url, "plugin")) as client:
        with pytest.raises(Unavailable, match="IndexError"):
            client.ping()
        with pytest.raises(Unsupported):
            client.status(None)
        with pytest.raises(Unsupported):
            client.update(ref(), {})


def test_logs() -> None:
    with peer(lambda call, body: (200, b"line\n")) as there, closing(ContractClient(there.url)) as client:
        with closing(client.logs(LogQuery(ref(), "main", tail=3))) as stream:
            assert b"".join(stream) == b"line\n"
        assert there.seen[0][1]["Opts"]["Tail"] == 3
        with closing(client.logs(LogQuery(ref(), "main", tail=0))) as nothing:
            assert list(nothing) == []
        assert len(there.seen) == 1, "a tail of 0 cannot be said on this contract"


def test_the_token_is_read_anew_for_every_request_and_stripped(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    with (
        peer(lambda call, body: (200, {"items": []})) as there,
        closing(Client(there.url, token_file=file)) as client,
    ):
        client.nodes()
        file.write_text(" two \n")
        client.nodes()
        assert [item["Authorization"] for item in there.headers] == ["Bearer one", "Bearer two"]
        file.unlink()
        with pytest.raises(ConfigError, match="cannot be read"):
            client.nodes()


def test_a_time_out_is_a_deadline_and_a_read_is_repeated_once_after_a_cut() -> None:
    gate = threading.Event()

    def script(call: str, body: Any) -> Answer:
        if "slow" in call:
            gate.wait(20)
        return None if len(there.calls) == 1 else (200, {"items": []})

    with peer(script) as there, closing(Client(there.url)) as client:
        assert client.nodes() == []
        assert there.calls == ["GET /v1/nodes", "GET /v1/nodes"]
        with closing(Transport(there.url)) as transport:
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                transport.send(Request("GET", "/slow", "s"), answer_seconds=0.2)
            assert time.monotonic() - began < 10
        gate.set()


def test_a_followed_log_may_take_its_time_to_begin() -> None:
    gate = threading.Event()

    def script(call: str, body: Any) -> Answer:
        gate.wait(20)
        return 200, b"first line\n"

    assert calls.log_seconds(LogQuery(PodRef("u"), "c")) == messages.ANSWER_SECONDS
    asked = calls.log_seconds(LogQuery(PodRef("u"), "c", follow=True))
    with peer(script) as there, closing(Transport(there.url)) as transport:
        with pytest.raises(DeadlineExceeded):
            transport.open(Request("GET", "/getLogs", "s"), answer_seconds=0.2)
        threading.Timer(0.5, gate.set).start()
        with closing(transport.open(Request("GET", "/getLogs", "s"), answer_seconds=asked)) as log:
            assert b"".join(log) == b"first line\n"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"items":{}}', b'{"items":[7]}'])
def test_a_page_of_somebody_else_is_no_list_of_nodes(body: bytes) -> None:
    with (
        peer(lambda call, asked: (200, body)) as there,
        closing(Client(there.url)) as client,
        pytest.raises(Unavailable, match="cannot be read"),
    ):
        client.nodes()


def test_a_create_answered_by_a_page_is_of_unknown_outcome_not_refused() -> None:
    with (
        peer(lambda call, asked: (200, b'{"uid":7}')) as there,
        closing(Client(there.url)) as client,
        pytest.raises(OutcomeUnknown),
    ):
        client.create(request())


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://x", "http://", "unix://relative"])
def test_no_url_is_a_mistake_of_the_user(url: str) -> None:
    with pytest.raises(ConfigError, match="not the URL of a server"):
        Client(url)
