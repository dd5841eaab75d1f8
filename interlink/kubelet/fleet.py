"""The nodes of this process: who they are according to the server, and a member for each."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from interlink.client.within import waited
from interlink.errors import InterlinkError
from interlink.kubelet.backend import Listener
from interlink.kubelet.member import House, Member
from interlink.kubelet.nodeobject import DROPPED
from interlink.model import quantity
from interlink.model.driver import NodeRecord, Ping, PodEvent, PodRecord, Taint

_log = logging.getLogger(__name__)

POLL_SECONDS = 60.0  # a server that says nothing of its nodes is asked all the same
RETRY_SECONDS = 2.0
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class Fleet(Listener):
    """Follows the backend, and passes its news on.

    `own` is the node of a configuration file, whose capacity the server may change unless it is `fixed`; without it
    all nodes of the server are served, of `only` if that is not empty. The names are remembered in the state
    directory: a kubelet that is restarted while the server is away goes on renewing their leases.
    """

    def __init__(
        self, house: House, own: NodeRecord | None = None, only: tuple[str, ...] = (), *, fixed: bool = False
    ) -> None:
        self._house, self._own, self._only, self._fixed = house, own, only, fixed
        self._memory = house.state / "nodes.json"
        self._members: dict[str, Member] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._due = asyncio.Event()
        self._told: set[str] = set()
        house.backend.listen(self)

    def job_changed(self, record: PodRecord) -> None:
        for member in self._members.values():
            member.job_changed(record)

    def job_event(self, event: PodEvent) -> None:
        for member in self._members.values():
            member.job_event(event)

    def contact_changed(self) -> None:
        self._due.set()
        for member in self._members.values():
            member.contact_changed()

    def nodes_changed(self) -> None:
        self._due.set()

    async def run(self) -> None:
        """Serve until cancelled; every node says NotReady then."""
        try:
            for name in self._known():
                self._serve(name, self._own)
            while True:
                self._due.clear()
                pause = POLL_SECONDS
                try:
                    if self._house.backend.contact.up:
                        await self._look()
                except InterlinkError as error:
                    _log.warning("the nodes of the interLink server are not known: %s", error)
                    pause = RETRY_SECONDS
                await waited(self._due, pause)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _known(self) -> Iterable[str]:
        if self._own is not None:
            return [self._own.name]
        return [name for name in _recalled(self._memory) if name in (self._only or (name,))]

    async def _look(self) -> None:
        """Bring members and the server's nodes together."""
        if self._own is not None:
            ping = getattr(self._house.backend, "answered_ping", Ping())
            self._own = pinged(self._own, ping, fixed=self._fixed)
            self._members[self._own.name].offer(self._own)
            return
        found = {record.name: record for record in await self._house.backend.nodes()}
        offered = {name: record for name, record in found.items() if name in (self._only or (name,))}
        for name in {*self._only} - {*found, *self._told}:
            self._told.add(name)
            _log.warning("the interLink server offers no node %s; it offers %s", name, ", ".join(found) or "none")
        for name, record in offered.items():
            self._serve(name, record)
        for name, member in list(self._members.items()):
            if name not in offered:
                member.offer(None, DROPPED)
                if member.is_forgotten:
                    self._dismiss(name)
        _remember(self._memory, self._members)

    def _dismiss(self, name: str) -> None:
        """Serve a node no more that is neither offered nor in the API."""
        _log.info("node %s is gone for good", name)
        self._members.pop(name)
        task = self._tasks.pop(name)
        task.cancel()

    def _serve(self, name: str, record: NodeRecord | None) -> None:
        if name in self._members:
            self._members[name].offer(record)
            return
        member = self._members[name] = Member(self._house, name, record)
        self._tasks[name] = asyncio.create_task(member.run(), name=f"node {name}")


def pinged(own: NodeRecord, ping: Ping, *, fixed: bool = False) -> NodeRecord:
    """Return a node with what a ping's answer says of it (wire.md 3.4).

    Amounts change one by one, what is not mentioned stays, what is no quantity is passed over; taints are replaced as
    a whole but for our own, which comes first. A `fixed` capacity stays.
    """
    stated = {} if fixed else {name: amount for name, amount in ping.resources.items() if _is_amount(amount)}
    amounts = {**own.capacity, **stated}
    taints = own.taints if ping.taints is None else (own.taints[0], *map(_with_effect, ping.taints))
    return replace(own, capacity=amounts, allocatable=amounts, taints=taints)


def _is_amount(text: str) -> bool:
    try:
        return quantity.parse(text) >= 0
    except ValueError:
        return False


def _with_effect(taint: Taint) -> Taint:
    return taint if taint.effect in EFFECTS else replace(taint, effect="NoSchedule")


def _recalled(file: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads(file.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read: %s", file, error)
        return []


def _remember(file: Path, names: Iterable[str]) -> None:
    """Write the names down; without them a restart while the server is away starts with nothing."""
    text = json.dumps(sorted(names))
    try:
        if not file.exists() or file.read_text() != text:
            temporary = file.with_suffix(".new")
            temporary.write_text(text)
            temporary.replace(file)
    except OSError as error:
        _log.warning("%s cannot be written: %s", file, error)
