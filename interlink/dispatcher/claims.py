"""Whose pod is it: with leases on hosts, any pod is everybody's; with leases on pods, its process's alone."""

from __future__ import annotations

from typing import Literal

from interlink.ledger import Leases

Scope = Literal["host", "pod"]


class Claims:
    """What this process may drive (decisions.md 4): a server takes whole hosts, each `run` its own pods."""

    def __init__(self, leases: Leases, scope: Scope) -> None:
        self._leases, self._scope = leases, scope

    def host(self, name: str) -> bool:
        """Take the host, or find it taken by us."""
        return self._scope == "pod" or self._leases.acquire(f"host/{name}")

    def hosts(self, names: list[str]) -> frozenset[str]:
        """Return those of the hosts taken that are still ours."""
        if self._scope == "pod":
            return frozenset(names)
        held = self._leases.held()
        return frozenset(name for name in names if f"host/{name}" in held)

    def leave_host(self, name: str) -> None:
        if self._scope == "host":
            self._leases.release(f"host/{name}")

    def pod(self, uid: str) -> bool:
        """Take the pod, or find it taken by us."""
        return self._scope == "host" or self._leases.acquire(f"pod/{uid}")

    def leave_pod(self, uid: str) -> None:
        if self._scope == "pod":
            self._leases.release(f"pod/{uid}")
