"""`deploy` and its parts: from the inventory to a working system, as often as one likes."""

from __future__ import annotations

import json as jsons
from collections.abc import Sequence
from dataclasses import dataclass

from invoke.context import Context
from invoke.exceptions import Exit

from interlink import compose
from interlink.config import inventory as inventories
from interlink.config import settings as config
from interlink.deploy import execution, hosts, recap, smoke
from interlink.deploy.steps import Outcome, Plan
from interlink.model.host import Inventory
from interlink.remote.pool import Pool
from interlink.tasks import board, reaching
from interlink.tasks.command import command

_HELP = {
    "inventory": reaching.HELP["inventory"],
    "limit": "only hosts of this pattern, e.g. 'gpu:!node07'",
    "dry-run": "say what would change, and change nothing",
    "diff": "show what differs, line by line",
    "forks": "how many hosts at a time",
    "json": "print the recap as JSON, and nothing else",
}
_HOSTS_HELP = {
    "trust": "pin the keys of hosts that have none pinned yet, unseen; only where nobody can be in between",
    "skip-smoke": "leave out the short pod that each host runs as its last check",
    "smoke-timeout": "seconds that this pod may take",
}


@dataclass(frozen=True)
class Run:
    """How one deployment goes about it."""

    dry_run: bool
    diff: bool
    forks: int
    json: bool

    def carry_out(self, plans: Sequence[Plan]) -> list[Outcome]:
        """Carry plans out before the user's eyes."""
        options = execution.Options(forks=self.forks, dry_run=self.dry_run)
        with board.watching([plan.target for plan in plans], diff=self.diff, quiet=self.json) as observer:
            return execution.execute(plans, options, observer)

    def conclude(self, outcomes: Sequence[Outcome]) -> None:
        """Print the recap, and end with 1 if anything went wrong."""
        if self.json:
            print(jsons.dumps(recap.as_json(outcomes, dry_run=self.dry_run), indent=2))
        else:
            print("\n".join(["", *recap.lines(outcomes, dry_run=self.dry_run)]), flush=True)
        if not recap.well(outcomes):
            raise Exit(code=1)


@command(iterable=["inventory"], help={**_HELP, **_HOSTS_HELP})
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
    current = config.load({"inventory": inventory or []})
    chosen = inventories.load(current.inventory, limit)
    run = Run(dry_run, diff, forks, json)
    wishes = Smoking(trust=trust, smoke=not skip_smoke, smoke_seconds=float(smoke_timeout))
    run.conclude(_prepared(run, current, chosen, wishes))


@dataclass(frozen=True)
class Smoking:
    """What is asked of the hosts' part."""

    trust: bool
    smoke: bool
    smoke_seconds: float


def _prepared(run: Run, current: config.Settings, chosen: Inventory, wishes: Smoking) -> list[Outcome]:
    if wishes.trust:
        config.private_directory(current.state_dir)
    with Pool(current.known_hosts) as pool:
        asked = hosts.Wishes(
            driver=compose.Maker(pool, smoke.SERVER_ID).driver,
            trust=wishes.trust,
            smoke=wishes.smoke,
            smoke_seconds=wishes.smoke_seconds,
        )
        return run.carry_out([hosts.plan(host, pool, asked) for host in chosen.hosts.values()])


@command(iterable=["inventory"], help={**_HELP, **_HOSTS_HELP})
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
    current = config.load({"inventory": inventory or []})
    chosen = inventories.load(current.inventory, limit)
    run = Run(dry_run, diff, forks, json)
    wishes = Smoking(trust=trust, smoke=not skip_smoke, smoke_seconds=float(smoke_timeout))
    run.conclude(_prepared(run, current, chosen, wishes))
