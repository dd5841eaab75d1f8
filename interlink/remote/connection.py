"""The Connection protocol: run scripts and follow streams on one host, with deadlines of our own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Result:
    """How a remote command ended. `truncated` says that stdout or stderr was cut at the caller's limit."""

    code: int
    stdout: bytes = field(repr=False, default=b"")
    stderr: bytes = field(repr=False, default=b"")
    truncated: bool = False

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace").strip()


class Stream(Protocol):
    """The output of a running remote command, in chunks as they arrive.

    Closing it (from any thread, more than once) ends the remote command and frees the channel;
    the iteration then ends. An end by lost connection raises ConnectionLost from the iteration.
    """

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...

    def result(self) -> Result:
        """The exit code and the (capped) stderr; only after the iteration has ended by itself."""
        ...


class Connection(Protocol):
    """One way to one host; thread-safe. Nothing is retried inside once a request has left.

    Errors: HostUnreachable (and its children) before anything was sent; ConnectionLost or
    DeadlineExceeded afterwards, with the outcome unknown.
    """

    name: str

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0, limit: int = 64 << 20) -> Result:
        """Run a POSIX sh script to its end and return its result, whatever the exit code.

        `script` travels as data, not in an argument list; it sees exactly `stdin`, then end of file.
        `timeout` (seconds) covers everything; when it passes, the remote process is killed too.
        `limit` (bytes) caps stdout and stderr each; what is beyond is read and dropped.
        Build commands with `remote.shell.join`, never by formatting.

        The script runs in a subshell of a persistent shell: `$$` is not its own process, and what it
        leaves in the background is ended with the connection. A process that is to live on needs a
        session of its own and none of these streams: `setsid CMD </dev/null >/dev/null 2>&1 &`.
        After a lost connection a running script is given some seconds to end, then it is ended.
        """
        ...

    def stream(self, script: str, *, timeout: float = 30.0) -> Stream:
        """Start a script whose stdout is followed; `timeout` (seconds) is for the start alone.

        The remote command and its children are ended when the stream is closed or the connection is lost.
        """
        ...

    def close(self) -> None:
        """Close the connection and all streams; a later call opens it again."""
        ...
