"""A stream of bytes cut into lines of any length; pure."""

from __future__ import annotations


class Lines:
    """Collects chunks; an object of a watch may be megabytes, more than a line reader's buffer takes.

    >>> lines = Lines()
    >>> lines.feed(b"one\\ntw"), lines.feed(b"o"), lines.feed(b"\\n\\nthree")
    ([b'one'], [], [b'two', b''])
    """

    def __init__(self) -> None:
        self._begun: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a chunk and return the lines that it completes."""
        *ended, rest = chunk.split(b"\n")
        if ended:
            ended[0] = b"".join([*self._begun, ended[0]])
            self._begun = []
        if rest:
            self._begun.append(rest)
        return ended
