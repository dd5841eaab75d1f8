"""What a check has compiled, kept for the create that follows it."""

from __future__ import annotations

from threading import Lock
from typing import Generic, TypeVar

from interlink.model.pod import PodRequest

T = TypeVar("T")
_KEPT = 64  # a pod that fits nowhere is checked again and again, and never created


class Compiled(Generic[T]):
    """The last few results by request; each is given out once. Thread-safe."""

    def __init__(self) -> None:
        self._results: dict[str, tuple[PodRequest, T]] = {}
        self._lock = Lock()

    def put(self, request: PodRequest, result: T) -> None:
        with self._lock:
            self._results.pop(request.pod.uid, None)
            self._results[request.pod.uid] = request, result
            while len(self._results) > _KEPT:
                del self._results[next(iter(self._results))]

    def take(self, request: PodRequest) -> T | None:
        """Return what was made of an equal request; None if there is nothing."""
        with self._lock:
            known, result = self._results.pop(request.pod.uid, (None, None))
        return result if known == request else None
