"""Requests to a persistent shell and their answers, as bytes; pure.

A request is one logical line of POSIX sh, sent to a shell that reads its commands from a channel. The
script runs by `eval` in a subshell, so `exit`, `cd` and traps end with it, and sees /dev/null or exactly
the given stdin. stdout and stderr each end with a marker line that carries a fresh nonce, which no
output can contain by chance: an answer may hold any byte, NUL included.

Stdin travels in one of three ways. Plain text is a quoted word, other short data the same in base64:
one round trip, and nothing that the shell could read ahead (dash does). What is longer is sent raw,
after the shell has asked for it, and counted: a command that does not read its stdin to the end cannot
put the shell out of step, and a connection lost in between kills the command rather than showing it a
premature end of file.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field

from interlink.remote.shell import quote

SHELL = "exec /bin/sh -s interlink"
"""What a session executes: safe under any login shell, and recognisable in `ps`."""

INLINE_TEXT = 16 << 10
INLINE_BINARY = 64 << 10
BLOCK = 1 << 16

_PLAIN = re.compile(rb"[\t\n\x20-\x7e]*\Z")
_SIGN = b"\x1e"  # begins a marker; rare in text, so a followed log is hardly ever held back


def new_nonce() -> str:
    return secrets.token_hex(12)


def marker(nonce: str) -> bytes:
    return _SIGN + nonce.encode()


@dataclass(frozen=True)
class Request:
    """`line` starts the script; `payload`, if any, is sent after the shell has printed `go`."""

    nonce: str
    line: bytes = field(repr=False)
    payload: bytes | None = field(repr=False, default=None)


def request(script: str, stdin: bytes = b"") -> Request:
    """Compile a script and its stdin; ValueError for a script with NUL, which no shell can read."""
    nonce = new_nonce()
    body = f"( eval {quote(script)}\n)"
    payload = None
    if not stdin:
        body += " </dev/null"
    elif len(stdin) <= INLINE_TEXT and _PLAIN.match(stdin):
        body = f"printf %s {quote(stdin.decode('ascii'))} 2>/dev/null | {body}"
    elif len(stdin) <= INLINE_BINARY:
        text = base64.b64encode(stdin).decode("ascii")
        body = f"printf %s {text} 2>/dev/null | base64 -d 2>/dev/null | {body}"
    else:
        payload = stdin
        body = _counted(nonce, body, len(stdin))
    return Request(nonce, f"{body}; {_ending(nonce, '$?')}\n".encode(), payload)


def hello(nonce: str) -> bytes:
    """Return the first line for a new shell; its answer's trailer is the shell's process id.

    The answer also tells where the chatter of start-up files ends.
    """
    return f"set --; {_ending(nonce, '$$')}\n".encode()


def _ending(nonce: str, value: str) -> str:
    return f"printf '\\036{nonce} %s\\n' {value}; printf '\\036{nonce}\\n' >&2"


def _counted(nonce: str, body: str, size: int) -> str:
    """Read exactly `size` bytes and one line from the channel; whatever the script leaves is drained.

    dd with fullblock never reads more than it should (busybox head does). If the line is missing, the
    connection broke: the whole process group dies, for the script must not take the cut for the end.
    """
    blocks, rest = divmod(size, BLOCK)
    read = f"dd bs={BLOCK} count={blocks} iflag=fullblock; " if blocks else ""
    read += f"dd bs={rest} count=1 iflag=fullblock; " if rest else ""
    feed = f"{{ {read}IFS= read -r il_end || kill -s KILL 0; }} 2>/dev/null"
    take = f"{{ {body}; il_code=$?; cat >/dev/null; exit $il_code; }}"
    return f"printf '\\036{nonce} go\\n'; {feed} | {take}"


class Answer:
    """One of the two outputs of a request: splits off the marker line; feed it chunks as they arrive."""

    def __init__(self, nonce: str) -> None:
        self._marker = marker(nonce)
        self._held = b""
        self.trailer: bytes | None = None
        """What stands behind the marker on its line, once the line is complete; then the answer has ended."""

    @property
    def done(self) -> bool:
        return self.trailer is not None

    def feed(self, chunk: bytes) -> bytes:
        """Return the part of the output that is now certain, without the marker line."""
        data = self._held + chunk if self._held else chunk
        start = data.find(self._marker)
        if start < 0:
            start = self._partial(data)
        else:
            line, newline, rest = data[start + len(self._marker) :].partition(b"\n")
            if newline:
                self._held, self.trailer = rest, line.strip()
                return data[:start]
        self._held = data[start:]
        return data[:start]

    def restart(self) -> bytes:
        """Expect another marker (after `go`); return nothing but what `feed` would for the held bytes."""
        held, self._held, self.trailer = self._held, b"", None
        return self.feed(held)

    @property
    def surplus(self) -> bool:
        """Something follows the marker line: a process that the script left behind still writes."""
        return self.done and bool(self._held)

    def _partial(self, data: bytes) -> int:
        """Return where a marker may have begun at the end of `data`, else its length."""
        position = data.find(_SIGN, max(0, len(data) - len(self._marker)))
        while position >= 0:
            if self._marker.startswith(data[position:]):
                return position
            position = data.find(_SIGN, position + 1)
        return len(data)


class Capture:
    """Collects output up to a limit; what is beyond is dropped and noted."""

    def __init__(self, limit: int) -> None:
        self._parts: list[bytes] = []
        self._room = limit
        self.truncated = False

    def add(self, data: bytes) -> None:
        if len(data) > self._room:
            data, self.truncated = data[: self._room], True
        self._room -= len(data)
        if data:
            self._parts.append(data)

    def value(self) -> bytes:
        return b"".join(self._parts)
