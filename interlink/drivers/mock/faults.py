"""Faults on demand: what a network and a host do to a driver's calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from interlink import errors


class Fault(Enum):
    """What goes wrong with one call."""

    REFUSED = "refused"  # LaunchFailed: for good
    UNAVAILABLE = "unavailable"  # nothing was done
    LOST_BEFORE = "lost before"  # OutcomeUnknown, and nothing was done
    LOST_AFTER = "lost after"  # OutcomeUnknown, and it was done


@dataclass
class _Rule:
    fault: Fault
    operation: str
    uid: str
    left: int


@dataclass
class Faults:
    """The faults that wait to happen; thread-safe."""

    _rules: list[_Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, fault: Fault, operation: str = "create", *, uid: str = "", times: int = 1) -> None:
        """Let the next `times` calls of `operation` fail, of one pod's or of any ("")."""
        with self._lock:
            self._rules.append(_Rule(fault, operation, uid, times))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    @contextmanager
    def around(self, operation: str, uid: str = "") -> Iterator[None]:
        """Run a call under the next fault that is meant for it."""
        fault = self._take(operation, uid)
        if fault is Fault.REFUSED:
            raise errors.LaunchFailed("MockRefused", f"{operation} was refused as injected")
        if fault is Fault.UNAVAILABLE:
            raise errors.EngineUnavailable(f"{operation}: the host is away as injected")
        if fault is Fault.LOST_BEFORE:
            raise errors.ConnectionLost(f"{operation}: the connection was lost as injected")
        yield
        if fault is Fault.LOST_AFTER:
            raise errors.ConnectionLost(f"{operation}: the connection was lost as injected")

    def _take(self, operation: str, uid: str) -> Fault | None:
        with self._lock:
            for rule in self._rules:
                if rule.operation == operation and rule.uid in ("", uid):
                    rule.left -= 1
                    if not rule.left:
                        self._rules.remove(rule)
                    return rule.fault
        return None
