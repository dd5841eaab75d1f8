"""What a mock container does, told by annotations of its pod."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any

from interlink.errors import InvalidPod
from interlink.model.pod import Pod

PREFIX = "mock.interlink.eu/"


@dataclass(frozen=True)
class Plan:
    """One container's life; times in seconds.

    `codes` are the exit codes of its attempts, the last one repeated. `stop` is how long it lives on
    after TERM, to exit then with `stop_code`; `inf` stands for a container that ignores TERM.
    Annotations set the same names for all containers of a pod (`mock.interlink.eu/run: "2.5"`) or for
    one of them (`mock.interlink.eu/run.main: forever`).
    """

    pending: float = 0.0
    run: float = 1.0
    codes: tuple[int, ...] = (0,)
    log: str = ""
    stop: float = 0.0
    stop_code: int = 143
    cpu: float | None = None  # cores that it uses while it runs; None: nobody knows
    memory: int | None = None  # bytes

    def code(self, attempt: int) -> int:
        """Return the exit code of an attempt, counted from 0."""
        return self.codes[min(attempt, len(self.codes) - 1)]

    @classmethod
    def of(cls, pod: Pod, container: str, default: Plan) -> Plan:
        """Read the plan of one container; InvalidPod names the annotation that is wrong."""
        found: dict[str, Any] = {}
        for name, parse in _PARSERS.items():
            for key in (f"{PREFIX}{name}", f"{PREFIX}{name}.{container}"):
                if key in pod.annotations:
                    found[_FIELDS.get(name, name)] = _parsed(key, str(pod.annotations[key]), parse)
        return replace(default, **found)


def _parsed(key: str, text: str, parse: Any) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidPod(f"cannot read {text!r}", field=f"metadata.annotations[{key}]") from error


def _seconds(text: str) -> float:
    return inf if text == "forever" else float(text)


def _codes(text: str) -> tuple[int, ...]:
    return tuple(int(code) for code in text.split(","))


_PARSERS: dict[str, Any] = {
    "pending": _seconds,
    "run": _seconds,
    "code": _codes,
    "log": str,
    "stop": _seconds,
    "stop-code": int,
    "cpu": float,
    "memory": int,
}
_FIELDS = {"code": "codes", "stop-code": "stop_code"}
