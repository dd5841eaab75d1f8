"""One node of this process: stand by, lead, serve, stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path

from interlink.errors import ConfigError, InterlinkError
from interlink.kubelet import configz
from interlink.kubelet.auth import Callers
from interlink.kubelet.backend import Backend, Listener
from interlink.kubelet.cache import Cache
from interlink.kubelet.certs import Names
from interlink.kubelet.conditions import AWAY_SECONDS, View
from interlink.kubelet.endpoints import About
from interlink.kubelet.events import Recorder
from interlink.kubelet.gated import GatedBackend
from interlink.kubelet.jobaccess import WithoutProjected
from interlink.kubelet.kube import Kube
from interlink.kubelet.leader import Leader
from interlink.kubelet.lease import NodeLease
from interlink.kubelet.node import Node
from interlink.kubelet.nodeobject import Identity
from interlink.kubelet.pods import Pods
from interlink.kubelet.references import Resolver, Site
from interlink.kubelet.server import KubeletServer, Listen
from interlink.kubelet.server import Node as Served
from interlink.kubelet.serving import Certificate, GivenFiles, SelfSigned, Signed
from interlink.kubelet.settings import Serving
from interlink.kubelet.submitting import Place, Tools
from interlink.kubelet.together import together
from interlink.kubelet.tokens import Tokens
from interlink.model.driver import NodeRecord, PodEvent, PodRecord

_log = logging.getLogger(__name__)

PORTS = 1000  # how many ports are tried, from the first one upwards
AGAIN_SECONDS = 5.0  # after a defect


@dataclass(frozen=True)
class House:
    """What all nodes of a process share.

    `identity` is a node's but for its name and port; `origin` is what the backend's jobs of this cluster carry.
    """

    kube: Kube
    backend: Backend
    cache: Cache
    callers: Callers
    identity: Identity
    serving: Serving
    state: Path
    origin: str = ""
    namespace: str = ""
    projected_volumes: bool = True
    not_ready_after: float | None = None


class Member(Listener):
    """One node. `run` until cancelled; cancelling it says NotReady and gives the lead away."""

    def __init__(self, house: House, name: str, record: NodeRecord | None = None) -> None:
        self._house, self._name = house, name
        self._record = record
        self._dropped = ""
        self._turn: _Turn | None = None

    def offer(self, record: NodeRecord | None, dropped: str = "") -> None:
        """Take note of what the server says of this node; `dropped` is why nothing more is to be scheduled here."""
        if (record, dropped) != (self._record, self._dropped):
            self._record, self._dropped = record, dropped
            self.wake()

    @property
    def is_forgotten(self) -> bool:
        """Say whether the node is neither offered nor in the API."""
        return self._turn is not None and self._turn.node.is_absent

    def wake(self) -> None:
        """Look at the node in the API soon."""
        if self._turn is not None:
            self._turn.node.wake()

    def job_changed(self, record: PodRecord) -> None:
        if self._turn is not None:
            self._turn.backend.job_changed(record)

    def job_event(self, event: PodEvent) -> None:
        if self._turn is not None:
            self._turn.backend.job_event(event)

    def contact_changed(self) -> None:
        self.wake()
        if self._turn is not None:
            self._turn.backend.contact_changed()
            if not self._house.backend.contact.up:
                left = AWAY_SECONDS - self._house.backend.contact.away_seconds
                asyncio.get_running_loop().call_later(max(left, 0.0) + 0.1, self.wake)

    async def run(self) -> None:
        """Serve the node whenever this process leads it."""
        while True:
            leader = Leader(self._house.kube, self._name)
            try:
                await leader.acquire()
                await self._lead(leader)
            except (InterlinkError, OSError) as error:
                _log.error("node %s: %s", self._name, error)
                await asyncio.sleep(AGAIN_SECONDS)
            except Exception:  # a defect, of which one node must not end the others
                _log.exception("node %s", self._name)
                await asyncio.sleep(AGAIN_SECONDS)
            finally:
                await leader.release()

    async def _lead(self, leader: Leader) -> None:
        """Serve until the lead is lost."""
        _log.info("node %s: this kubelet leads", self._name)
        holding = asyncio.ensure_future(leader.hold())
        try:
            self._turn = turn = await _Turn.begin(self, leader)
            try:
                await together(turn.run(), _ended(holding))
            except asyncio.CancelledError:
                turn.stopping = True
                await turn.node.stop()
                raise
            finally:
                self._turn = None
                await turn.end()
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)

    # What a turn reads

    @property
    def name(self) -> str:
        return self._name

    @property
    def house(self) -> House:
        return self._house

    @property
    def record(self) -> NodeRecord | None:
        return self._record

    def view(self, waiting: tuple[str, ...], *, stopping: bool) -> View:
        """Return what is known of the node right now."""
        contact = self._house.backend.contact
        away, reason = contact.away_seconds, contact.reason
        if self._dropped:
            away, reason = math.inf, self._dropped
        limit = None if self._dropped else self._house.not_ready_after
        return View(self._record, waiting, away, reason, limit, stopping)


class _Turn:
    """One time of leading a node: its parts, made anew each time."""

    def __init__(self, member: Member, leader: Leader) -> None:
        house, name = member.house, member.name
        self.stopping = False
        self._member = member
        kube = house.kube.through(leader.gate)
        self.backend = GatedBackend(house.backend, leader.gate)
        self._recorder, tokens = Recorder(kube, name), Tokens(kube)
        self._lease = NodeLease(kube, name)
        resolver = (Resolver if house.projected_volumes else WithoutProjected)(house.cache, tokens)
        tools = Tools(kube, self.backend, resolver, tokens, self._recorder)
        self._pods = Pods(Place(name, house.identity.address, self._site, house.namespace), tools)
        leader.gate.on_open(self._pods.resume)
        self._kube = kube
        self._server: KubeletServer | None = None
        self.node = self._node(house.serving.port)

    @classmethod
    async def begin(cls, member: Member, leader: Leader) -> _Turn:
        """Make the parts; the server listens, because the node must say at which port."""
        turn = cls(member, leader)
        turn._server = await turn._listening()
        turn.node = turn._node(turn._server.port)
        return turn

    async def run(self) -> None:
        """Work until cancelled."""
        await together(self._lease.run(), self.node.run(), self._pods.run(), self._recorder.run(), self._waking())

    async def end(self) -> None:
        if self._server is not None:
            await self._server.close()

    def waiting(self) -> tuple[str, ...]:
        """Return the preconditions of Ready that do not hold yet (kubelet.md 1.3)."""
        parts = {
            "the interLink server": self._member.house.backend.contact.up or self._pods.recovered.is_set(),
            "the state of its pods": self._pods.recovered.is_set(),
            "the renewal of its lease": self._lease.renewed_once.is_set(),
        }
        return tuple(part for part, holds in parts.items() if not holds)

    async def _waking(self) -> None:
        """Say Ready as soon as all holds; runs on for ever, because its end would be the turn's."""
        await self._lease.renewed_once.wait()
        await self._pods.recovered.wait()
        self.node.wake()
        await asyncio.Event().wait()

    def _node(self, port: int) -> Node:
        identity = replace(self._member.house.identity, name=self._member.name, port=port)
        return Node(self._kube, identity, self._view, self._lease.point_to)

    def _view(self) -> View:
        return self._member.view(self.waiting(), stopping=self.stopping)

    def _site(self) -> Site:
        record = self._member.record
        return Site(
            self._member.house.origin,
            record.allocatable if record else None,
            fills_addresses=self._member.house.backend.fills_addresses,
        )

    async def _listening(self) -> KubeletServer:
        """Return a server on the first port that is free."""
        house, name = self._member.house, self._member.name
        first = house.serving.port
        for port in range(first, min(first + PORTS, 65536)):
            served = Served(name, self._pods.store, self.backend, self._about(port))
            listen = Listen(house.serving.listen, port)
            server = KubeletServer(served, self._kube, house.callers, self._certificate(), listen)
            try:
                await server.start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise ConfigError(f"the kubelet API of {name} cannot listen: {error}") from error
                continue
            if port != first:
                _log.info("node %s: its kubelet API listens on port %d", name, port)
            return server
        raise ConfigError(f"no port from {first} on is free for the kubelet API of {name}")

    def _about(self, port: int) -> About:
        house, record = self._member.house, self._member.record
        identity = replace(house.identity, name=self._member.name, port=port)
        return About(configz.configuration(identity, record, house.serving), house.kube.requests)

    def _certificate(self) -> Certificate:
        serving, house = self._member.house.serving, self._member.house
        if serving.cert_file and serving.key_file:
            return GivenFiles(serving.cert_file, serving.key_file)
        names = Names(self._member.name, (house.identity.address,))
        if serving.signer:
            return Signed(names, house.state, self._kube, signer=serving.signer)
        return SelfSigned(names, house.state)


async def _ended(task: asyncio.Future[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.shield(task)
