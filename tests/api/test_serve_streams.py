"""Follows and watches: flushed at once, freed at once when the client leaves, never too many."""

from __future__ import annotations

import threading
from contextlib import closing

from interlink.client import Client, ContractClient
from interlink.model.driver import LogQuery
from interlink.model.pod import PodRef
from tests.api.process import Server, wait
from tests.api.test_serve import UID, pod

STREAMS = "interlink_http_streams"
FOLLOW = f"/v1/pods/{UID}/log?follow=true"
CONTRACT = b'{"Namespace":"default","PodUID":"%s","Opts":{"Follow":true}}' % UID.encode()


def launch(server: Server, **annotations: str) -> None:
    assert server.request("POST", "/create", {"pod": pod(**annotations)})[0] == 200


def freed(server: Server) -> bool:
    return server.metric(STREAMS) == 0


def test_headers_and_chunks_come_at_once(server: Server) -> None:
    launch(server, log="hello\n", run="forever")
    sock = server.send("GET", "/getLogs", CONTRACT)
    text = b""
    while b"hello" not in text:
        text += sock.recv(1 << 16)
    assert b"200 OK" in text
    assert b"chunked" in text
    silent = server.send("GET", "/v1/watch?since=10")
    assert b"200 OK" in silent.recv(1 << 16)


def test_a_client_that_leaves_frees_everything(server: Server) -> None:
    launch(server, run="forever")
    most = server.threads() + 16 + 1  # the pool of the server is filled as needed, and the watchdog
    for _ in range(3):
        socks = [server.send("GET", FOLLOW), server.send("GET", "/getLogs", CONTRACT), server.send("GET", "/v1/watch")]
        wait(lambda: server.metric(STREAMS) == 3, "three streams are open")
        for sock in socks:
            assert b"200" in sock.recv(100)
            sock.close()
        wait(lambda: freed(server), "all are freed")
    for _ in range(30):
        server.send("GET", FOLLOW).close()
    wait(lambda: freed(server), "all are freed")
    wait(lambda: server.threads() <= most, "no thread is left behind")
    assert "Traceback" not in server.log.read_text()


def test_too_many_streams_are_503_and_everything_else_goes_on(server: Server) -> None:
    launch(server, run="forever")
    for _ in range(4):
        assert b"200 OK" in server.send("GET", FOLLOW).recv(100)
    status, body = server.request("GET", FOLLOW)
    assert status == 503
    assert b"streams are open already" in body
    assert server.request("GET", "/v1/watch")[0] == 503
    assert server.request("GET", f"/v1/pods/{UID}")[0] == 200
    assert server.request("GET", f"/v1/pods/{UID}/log")[0] == 200


def test_a_closed_client_stream_frees_both_sides(server: Server) -> None:
    launch(server, log="hello\n", run="forever")
    ref = PodRef(UID, "default", "p1")
    for client in (Client(server.url), ContractClient(server.url)):
        stream = client.logs(LogQuery(ref, "main", follow=True))
        got: list[bytes] = []
        reader = threading.Thread(target=lambda stream=stream, got=got: got.extend(stream))
        reader.start()
        wait(lambda got=got: got, "the first chunk")
        stream.close()
        reader.join(20)
        assert not reader.is_alive()
        assert got == [b"hello\n"]
        stream.close()
        wait(lambda: freed(server), "the server's side is freed")
        client.close()


def test_a_watch_of_the_client(server: Server) -> None:
    launch(server, run="forever")
    client = Client(server.url)
    with closing(client.watch()) as feed:
        changes = iter(feed)
        seen = [next(changes) for _ in range(3)]
    assert [change.type for change in seen] == ["pod", "node", "bookmark"]
    assert seen[0].object.uid == UID
    assert seen[-1].seq == 10
    assert list(changes) == []
    client.close()
    wait(lambda: freed(server), "the server's side is freed")


def test_the_end_of_a_server_ends_a_clients_stream(server: Server) -> None:
    launch(server, run="forever")
    client = Client(server.url)
    stream = client.logs(LogQuery(PodRef(UID), "main", follow=True))
    server.process.terminate()
    assert b"".join(stream) == b""
    stream.close()
    client.close()
