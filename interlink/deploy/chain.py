"""The chain from a pod to the machine that runs it, link by link, and what mends the first one that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from interlink.client import Client
from interlink.deploy import cures, judge
from interlink.deploy.cluster import Cluster
from interlink.errors import EngineUnavailable, InputError, InterlinkError, Unavailable
from interlink.model.host import Host
from interlink.remote import facts as host_facts
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


def server_links(client: Client, url: str) -> list[Link]:
    """Return the links of the server: that it answers, its ledger, and whether it reaches its hosts."""
    seen: dict[str, Any] = {}

    def answers() -> str:
        try:
            seen.update(client.ready())
        except InputError:
            raise
        except InterlinkError as error:
            raise Unavailable(
                f"{error}; start it: interlink server.start, or look at: interlink server.logs"
            ) from error
        return f"{url} answers"

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

    return [Link("server", answers), Link("ledger", ledger), Link("the server's hosts", hosts)]


def cluster_links(cluster: Cluster, nodes: Sequence[str], patience: float) -> list[Link]:
    """Return the links of the cluster: its API server, and our nodes in it."""
    return [
        Link("API server", lambda: cluster.look(may=False).note),
        Link("nodes", lambda: cluster.nodes(nodes, patience).note),
    ]
