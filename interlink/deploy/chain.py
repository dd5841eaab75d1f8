"""The chain from a pod to the machine that runs it, link by link, and what mends the first one that is broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlink.deploy import cures, judge, machine, server
from interlink.deploy.cluster import Cluster
from interlink.deploy.manage import Manager
from interlink.errors import EngineUnavailable, InputError, InterlinkError, Unavailable
from interlink.model.host import Host
from interlink.remote import facts as host_facts
from interlink.remote import shell
from interlink.remote.pool import Pool


@dataclass(frozen=True)
class Link:
    """One link; `look` says what is well, and raises an InterlinkError with its cure for what is not."""

    name: str
    look: Callable[[], str]


@dataclass(frozen=True)
class Verdict:
    """What became of a link: "ok", "broken", or "unknown" behind a broken one that it needs."""

    name: str
    state: str
    note: str


def walk(links: Sequence[Link]) -> Iterator[Verdict]:
    """Look at the links in their order; those behind a broken one are not asked: its cure comes first."""
    broken = ""
    for link in links:
        if broken:
            yield Verdict(link.name, "unknown", f"needs {broken}")
            continue
        try:
            yield Verdict(link.name, "ok", link.look())
        except InterlinkError as error:
            broken = link.name
            yield Verdict(link.name, "broken", f"{error}{cures.cure(error)}")


def host_links(host: Host, pool: Pool) -> list[Link]:
    """Return the links that lie on a host: SSH, then its engine or Slurm."""
    seen: list[Any] = []

    def ssh() -> str:
        seen.append(host_facts.gather(host, pool.connection(host)))
        return judge.summary(seen[0])

    def engine() -> str:
        if complaint := judge.engine(host, seen[0]):
            raise EngineUnavailable(complaint)
        return f"{seen[0].engine} {seen[0].engine_version}"

    def slurm() -> str:
        note, complaint = judge.partition(host, seen[0])
        if complaint:
            raise EngineUnavailable(complaint)
        return note

    links = [Link(f"SSH to {host.name}", ssh)]
    if host.driver == "docker":
        links.append(Link(f"engine of {host.name}", engine))
    elif host.driver == "slurm":
        links.append(Link(f"Slurm of {host.name}", slurm))
    return [] if host.driver == "mock" else links


def server_links(name: str, ask: Callable[[], Mapping[str, Any]]) -> list[Link]:
    """Return the links of a server: that it answers, its ledger, and whether it reaches its hosts."""
    seen: dict[str, Any] = {}

    def answers() -> str:
        try:
            seen.update(ask())
        except InputError:
            raise
        except InterlinkError as error:
            raise Unavailable(
                f"{error}; start it: interlink server.start, or look at: interlink server.logs"
            ) from error
        return "answers"

    def ledger() -> str:
        if seen.get("ledger", "ok") != "ok":
            raise Unavailable(f"{seen['ledger']}; see that its disk has room, or that its database runs")
        return "ok"

    def hosts() -> str:
        away = {name: why for name, why in seen.get("hosts", {}).items() if why != "ok"}
        if away:
            said = "; ".join(f"{name}: {why}" for name, why in away.items())
            raise Unavailable(f"it does not reach {said}; if they answer from here, deploy again: interlink deploy")
        return f"{len(seen.get('hosts', {}))} reached"

    return [Link(name, answers), Link("ledger", ledger), Link("the server's hosts", hosts)]


def deployed_links(host: Host, pool: Pool) -> list[Link]:
    """Return the links of a server that was deployed to a machine: it is asked there, with the token that is there."""

    def ssh() -> str:
        return machine.gather(host, pool.connection(host)).described()

    def ask() -> Mapping[str, Any]:
        connection = pool.connection(host)
        there = machine.gather(host, connection)
        found = Manager(connection, there).state(server.NAME)
        if not found.active:
            raise Unavailable(f"{server.NAME} is {found.state or 'inactive'} there")
        result = connection.run(shell.join(server.question(host, there)), timeout=60)
        try:
            answer: Mapping[str, Any] = json.loads(result.text)
        except ValueError:
            raise Unavailable(result.error_text or f"it ended with {result.code}") from None
        return answer

    return [Link(f"SSH to {host.name}", ssh), *server_links(f"server on {host.name}", ask)]


def cluster_links(cluster: Cluster, nodes: Sequence[str], patience: float) -> list[Link]:
    """Return the links of the cluster: its API server, and our nodes in it."""
    return [
        Link("API server", lambda: cluster.look(may=False).note),
        Link("nodes", lambda: cluster.nodes(nodes, patience).note),
    ]
