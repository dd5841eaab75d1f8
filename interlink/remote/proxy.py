"""A ProxyCommand as a socket: its stdin and stdout are one end of a pair, the other end is ours.

paramiko's own ProxyCommand spins at end of file and cannot be interrupted; a socket can.
"""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
from collections.abc import Mapping


def expand(command: str, tokens: Mapping[str, str]) -> list[str]:
    """Split a ProxyCommand into words (no shell runs it) and replace %h, %p, %r and %%.

    >>> expand("ssh -W '%h:%p' %%gate", {"h": "n1", "p": "22"})
    ['ssh', '-W', 'n1:22', '%gate']
    """
    known = {"%": "%", **tokens}
    return [re.sub(r"%(.)", lambda match: known.get(match[1], match[0]), word) for word in shlex.split(command)]


class Proxy:
    """A running ProxyCommand; `socket` is what to speak SSH on."""

    def __init__(self, argv: list[str]) -> None:
        """Start it; OSError if that is impossible. What it prints on stderr is dropped."""
        self.socket, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except BaseException:
                self.socket.close()
                raise

    def close(self) -> None:
        self.socket.close()
        self._process.terminate()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
