"""A TCP proxy whose network can be hurt: cut, silent, deaf to answers, slow."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import yaml

Mode = Literal["pass", "hole", "mute", "cut"]
_LOOK = 0.05


class Proxy:
    """Passes bytes on to one address, as `mode` has it.

    `hole`: nothing arrives any more, and nobody is told, as when packets are dropped; what was sent arrives later.
    `mute`: requests arrive, their answers do not. `cut`: connections break, and new ones too.
    `delay`: seconds that each piece takes, in either direction.
    """

    def __init__(self, host: str, port: int) -> None:
        self.mode: Mode = "pass"
        self.delay = 0.0
        self.asked = b""  # all requests, one after another
        self._target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._ended = False
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def cut(self) -> None:
        """Break all connections; they stay broken until `heal`."""
        self.mode = "cut"
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        self.mode, self.delay = "pass", 0.0

    def close(self) -> None:
        self._ended = True
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _begin(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, 10)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            ends = [client, server]
            self._begin(self._pass_on, client, server, ends)
            self._begin(self._pass_on, server, client, ends)

    def _pass_on(self, source: socket.socket, sink: socket.socket, ends: list[socket.socket]) -> None:
        answers = source is ends[1]
        try:
            while chunk := source.recv(1 << 16):
                if not answers:
                    self.asked += chunk
                time.sleep(self.delay)
                while self.mode == "hole" or (self.mode == "mute" and answers):
                    time.sleep(_LOOK)
                if self.mode == "cut":
                    break
                sink.sendall(chunk)
        except OSError:
            pass  # one end has gone: so does the other
        finally:
            for sock in ends:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open -= set(ends)
            source.close()


@contextlib.contextmanager
def before(url: str) -> Iterator[Proxy]:
    """Have a proxy before the server of a URL such as https://127.0.0.1:6443."""
    host, _, port = url.rpartition("/")[2].rpartition(":")
    made = Proxy(host, int(port))
    try:
        yield made
    finally:
        made.close()


def kubeconfig(original: Path, proxy: Proxy, path: Path) -> Path:
    """Write a kubeconfig that leads through the proxy."""
    content = yaml.safe_load(original.read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    return path
