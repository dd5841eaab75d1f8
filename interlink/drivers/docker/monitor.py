"""The file that podman's monitor (conmon) keeps of a container's output, log driver `k8s-file`; pure.

A record is `TIME stdout|stderr F|P TEXT`: F for a whole line or the end of one, P for a piece without an end. Its form
is that of the CRI's log files (kubernetes/cri-api, "Log format"); TIME has nanoseconds and the host's zone.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

_RECORD = re.compile(rb"(\S+) (?:stdout|stderr) ([FP])(?::\S*)? (.*)", re.DOTALL)
_TIME = re.compile(r"(.{19})(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class Records:
    """Makes the container's output of records as they come: of those from `since` on, a time or \"\"."""

    def __init__(self, since: str, *, timestamps: bool) -> None:
        self._since = utc(since) if since else ""
        self._timestamps = timestamps
        self._rest = b""
        self._in_line = False

    def text(self, chunk: bytes) -> bytes:
        """Return what these bytes of the file add to the output."""
        *records, self._rest = (self._rest + chunk).split(b"\n")
        return b"".join(map(self._one, records))

    def _one(self, record: bytes) -> bytes:
        found = _RECORD.fullmatch(record)
        if found is None:  # nothing that a container said is left out for its form
            return record + b"\n"
        time, flag, text = found.groups()
        if self._since:
            if utc(time.decode(errors="replace")) < self._since:
                return b""
            self._since = ""
        stamp = utc(time.decode(errors="replace")).encode() + b" " if self._timestamps and not self._in_line else b""
        self._in_line = flag == b"P"
        return stamp + text + (b"" if self._in_line else b"\n")


def utc(time: str) -> str:
    """Return an RFC 3339 time in UTC with nine digits, so that such texts have the times' order; others as they are."""
    found = _TIME.fullmatch(time)
    if found is None:
        return time
    second, fraction, zone = found.groups()
    try:
        there = datetime.fromisoformat(second + ("+00:00" if zone == "Z" else zone)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return time
    return f"{there:%Y-%m-%dT%H:%M:%S}.{(fraction or '').ljust(9, '0')}Z"
