"""What supervisors saw of their containers, each event once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from threading import Lock

from interlink.drivers.supervised.records import Record
from interlink.model.driver import PodEvent


class Events:
    """Remembers by its number which event of a pod was the last one told. Thread-safe."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}
        self._lock = Lock()

    def fresh(self, records: Iterable[Record]) -> tuple[PodEvent, ...]:
        """Return the events that were not returned before; a deleted pod is forgotten."""
        found: list[PodEvent] = []
        with self._lock:
            for record in records:
                uid = str(record.facts["uid"])
                told = self._told.get(uid, 0)
                found += [_event(uid, words) for words in record.events if int(words[0]) > told]
                if record.kept:
                    self._told.pop(uid, None)
                elif record.events:
                    self._told[uid] = max(told, int(record.events[-1][0]))
        return tuple(found)


def _event(uid: str, words: list[str]) -> PodEvent:
    _, at, kind, reason, name, message = words
    time = datetime.fromtimestamp(int(at), timezone.utc)
    return PodEvent(uid, reason, message, time, "Warning" if kind == "Warning" else "Normal", name)
