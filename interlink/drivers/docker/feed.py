"""The host's changes over one channel: engine events and our feed file to sets of UIDs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from interlink.errors import EngineUnavailable
from interlink.model.driver import Later
from interlink.remote.connection import Stream


@contextmanager
def following(stream: Stream) -> Iterator[Iterator[frozenset[str]]]:
    """Follow a running `il_feed`; entered once the host has said that it follows."""
    try:
        lines = _lines(stream)
        if next(lines, None) != "ready":
            result = stream.result()
            raise EngineUnavailable(result.error_text or "the host's feed could not be started")
        yield _changes(lines)
    finally:
        stream.close()


def _changes(lines: Iterator[str]) -> Iterator[frozenset[str]]:
    for line in lines:
        if line.startswith("+ "):  # it has been started, mostly by us: no hurry, and many come together
            yield Later((line[2:],))
            continue
        uid = line[2:] if line.startswith("- ") else line.partition("\t")[0]
        yield frozenset((uid,)) if uid else frozenset()


def _lines(stream: Stream) -> Iterator[str]:
    rest = b""
    for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
