"""What the Go virtual kubelet makes of a /status report, flaws included, as a model to test against.

It sees element 0 of a report. An init container that it does not know is appended, but then handled as
if it were the first (so a later one that has ended hits an earlier one that has not: a nil pointer).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Panic(Exception):
    """The Go process would have died."""


@dataclass
class GoKubelet:
    """One pod as that kubelet holds it; all main containers of the spec are known from the start."""

    mains: list[str]
    phase: str = "Pending"
    _inits: list[tuple[str, str]] = field(default_factory=list)
    _states: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._states = dict.fromkeys(self.mains, "waiting")

    def see(self, report: list[dict[str, Any]]) -> None:
        if not report or not report[0]["name"] or self.phase in ("Succeeded", "Failed"):
            return
        inits, mains = report[0]["initContainers"] or [], report[0]["containers"] or []
        held_back, init_failed = self._see_inits(inits)
        failed = self._see_mains(mains, held_back)
        if sum(_kind(item) == "terminated" for item in mains if not held_back) == len(mains):
            if failed or init_failed:
                if "terminated" not in self._states.values() or set(self._states.values()) != {"terminated"}:
                    raise Panic("a container that has not ended is given a reason for its end")
                self.phase = "Failed"
            else:
                self.phase = "Succeeded"
        elif not held_back and any(_kind(item) == "running" for item in mains):
            self.phase = "Running"

    def _see_inits(self, inits: list[dict[str, Any]]) -> tuple[bool, bool]:
        failed = False
        for item in inits:
            names = [name for name, _ in self._inits]
            index = names.index(item["name"]) if item["name"] in names else None
            if index is None:
                self._inits.append((item["name"], _kind(item)))
                index = 0
            else:
                self._inits[index] = (item["name"], _kind(item))
            if _kind(item) == "terminated":
                if self._inits[index][1] != "terminated":
                    raise Panic("an init container has ended before an earlier one")
                failed = failed or item["state"]["terminated"]["exitCode"] != 0
        kinds = [_kind(item) for item in inits]
        waiting = "waiting" in kinds and kinds.count("terminated") != len(inits)
        return waiting or "running" in kinds, failed

    def _see_mains(self, mains: list[dict[str, Any]], held_back: bool) -> bool:
        failed = False
        for item in mains:
            if item["name"] not in self._states:
                raise Panic("a container that nobody knows")
            self._states[item["name"]] = "waiting" if held_back else _kind(item)
            if not held_back and _kind(item) == "terminated":
                failed = failed or item["state"]["terminated"]["exitCode"] != 0
        return failed


def _kind(item: dict[str, Any]) -> str:
    kinds = [kind for kind in ("terminated", "waiting", "running") if kind in item["state"]]
    if len(kinds) != 1:
        raise Panic(f"not exactly one state: {item}")
    return kinds[0]
