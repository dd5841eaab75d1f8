"""What accepted connections inherit: no peer that is gone, or that never reads, holds a thread for ever."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from interlink.api import listen
from interlink.errors import ConfigError


def test_connections_notice_dead_and_deaf_peers() -> None:
    with (
        closing(listen.bind("localhost:0", has_token=False)) as server,
        socket.create_connection(server.getsockname()[:2]),
    ):
        accepted, _ = server.accept()
        with closing(accepted):
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 600_000
            assert listen.url(server).startswith("http://")


def test_all_ways_to_write_a_unix_socket(tmp_path: Path) -> None:
    for text in (f"unix:{tmp_path}/a", f"unix://{tmp_path}/b"):
        with closing(listen.bind(text, has_token=False)) as server:
            assert listen.url(server) == "unix://" + server.getsockname()


def test_ipv6_loopback_needs_no_token() -> None:
    try:
        server = listen.bind("[::1]:0", has_token=False)
    except ConfigError:
        pytest.skip("this machine has no ::1")
    with closing(server):
        assert listen.url(server).startswith("http://[::1]:")
