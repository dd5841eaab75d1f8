"""Ask many hosts the same thing at once; one that does not answer never hides the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from interlink.errors import InterlinkError
from interlink.model.host import Host

T = TypeVar("T")


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a host answered within `seconds`, or why it did not."""

    host: Host
    value: T | None
    error: InterlinkError | None
    seconds: float


def ask(hosts: Iterable[Host], question: Callable[[Host], T], forks: int) -> list[Answer[T]]:
    """Put a question to all hosts, `forks` at a time, and return the answers in the order of the hosts."""

    def put(host: Host) -> Answer[T]:
        began = time.monotonic()
        try:
            value = question(host)
        except InterlinkError as error:
            return Answer(host, None, error, time.monotonic() - began)
        return Answer(host, value, None, time.monotonic() - began)

    with ThreadPoolExecutor(max(1, forks), thread_name_prefix="ask") as executor:
        return list(executor.map(put, hosts))
