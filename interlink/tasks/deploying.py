"""`deploy` and its parts: from the inventory to a working system, as often as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from invoke.context import Context

from interlink.config import settings as config
from interlink.deploy import hosts, kubelet, libraries, server, smoke, wheel
from interlink.deploy.steps import Outcome, Plan
from interlink.errors import ConfigError
from interlink.model.host import Host, nodes, runs_pods, workers
from interlink.remote.pool import Pool
from interlink.tasks.command import command
from interlink.tasks.deployment import HELP, Run, Site

_HOSTS_HELP = {
    "trust": "pin the keys of hosts that have none pinned yet, unseen; only where nobody can be in between",
    "skip-smoke": "leave out the short pod that each host runs as its last check",
    "smoke-timeout": "seconds that this pod may take",
}


@dataclass(frozen=True)
class Care:
    """What is asked of the hosts' part."""

    trust: bool
    smoke: bool
    smoke_seconds: float


@command(iterable=["inventory"], help={**HELP, **_HOSTS_HELP})
def prepare(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    dry_run: bool = False,
    diff: bool = False,
    forks: int = 32,
    json: bool = False,
    trust: bool = False,
    skip_smoke: bool = False,
    smoke_timeout: int = 120,
) -> None:
    """Make the hosts ready for pods: key, login, requirements, directory, engine, images, a first pod."""
    run = Run(dry_run, diff, forks, json)
    site = Site.read(inventory, limit)
    run.conclude(_prepared(run, site, Care(trust, not skip_smoke, float(smoke_timeout))))


@command(name="deploy", iterable=["inventory"], help=HELP)
def deploy_server(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    dry_run: bool = False,
    diff: bool = False,
    forks: int = 32,
    json: bool = False,
) -> None:
    """Install, configure and start the server on the machines of the group interlink_server, or on this one."""
    run = Run(dry_run, diff, forks, json)
    run.conclude(_served(run, Site.read(inventory, limit)))


@command(name="deploy", iterable=["inventory"], help=HELP)
def deploy_kubelet(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    dry_run: bool = False,
    diff: bool = False,
    forks: int = 32,
    json: bool = False,
) -> None:
    """Bring the virtual kubelet up, beside the server or in the cluster (interlink_kubelet in the inventory)."""
    run = Run(dry_run, diff, forks, json)
    site = Site.read(inventory, limit)
    if not any(map(_wants_kubelet, site.servers())):
        raise ConfigError("the group interlink_server says nothing of interlink_kubelet: set it to beside or cluster")
    run.conclude(_joined(run, site, ()))


@command(iterable=["inventory"], help={**HELP, **_HOSTS_HELP})
def deploy(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    dry_run: bool = False,
    diff: bool = False,
    forks: int = 32,
    json: bool = False,
    trust: bool = False,
    skip_smoke: bool = False,
    smoke_timeout: int = 120,
) -> None:
    """Make the whole system work: the hosts, the server, the virtual kubelet; a second run changes nothing."""
    run = Run(dry_run, diff, forks, json)
    site = Site.read(inventory, limit)
    outcomes = _prepared(run, site, Care(trust, not skip_smoke, float(smoke_timeout)))
    outcomes += _served(run, site)
    outcomes += _joined(run, site, outcomes)
    run.conclude(outcomes)


def _prepared(run: Run, site: Site, care: Care) -> list[Outcome]:
    if care.trust:
        config.private_directory(site.settings.state_dir)
    from interlink import compose  # slow to import, and other commands do without

    with site.pool() as pool:
        asked = hosts.Wishes(
            driver=compose.Maker(pool, smoke.SERVER_ID).driver,
            trust=care.trust,
            smoke=care.smoke,
            smoke_seconds=care.smoke_seconds,
        )
        chosen = [host for host in site.chosen.hosts.values() if runs_pods(host)]
        return run.carry_out([hosts.plan(host, pool, asked) for host in chosen])


def _served(run: Run, site: Site) -> list[Outcome]:
    machines = site.servers()
    if not machines:
        return []
    wanted = server.Wanted(wheel.build(), libraries.collect(), site.whole, site.settings.known_hosts)
    with site.pool() as pool:
        return run.carry_out([server.plan(host, pool, wanted) for host in machines])


def _joined(run: Run, site: Site, before: Sequence[Outcome]) -> list[Outcome]:
    """Deploy the virtual kubelet of each server, unless the server itself could not be deployed."""
    bad = {outcome.target for outcome in before if outcome.bad}
    with site.pool() as pool:
        plans = [_kubelet_plan(host, site, pool) for host in site.servers() if _wants_kubelet(host)]
        return run.carry_out([plan for plan in plans if plan.target not in bad])


def _wants_kubelet(host: Host) -> bool:
    return str(host.get("interlink_kubelet")) != "none"


def _kubelet_plan(host: Host, site: Site, pool: Pool) -> Plan:
    asked = kubelet.wanted(host, list(nodes(workers(site.whole))))
    if host.get("interlink_kubelet") == "cluster":
        return kubelet.in_cluster(host, pool, asked)
    return kubelet.beside(host, pool, asked)
