"""What the tasks of a deployment share: the inventory in its parts, and how plans are carried out before the user."""

from __future__ import annotations

import json as jsons
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from invoke.exceptions import Exit

from interlink.config import inventory as inventories
from interlink.config import settings as config
from interlink.deploy import execution, recap
from interlink.deploy.steps import Outcome, Plan
from interlink.errors import ConfigError
from interlink.model.host import Host, Inventory, servers
from interlink.remote.pool import Pool
from interlink.tasks import reaching

HELP = {
    "inventory": reaching.HELP["inventory"],
    "limit": "only hosts of this pattern, e.g. 'gpu:!node07'",
    "dry-run": "say what would change, and change nothing",
    "diff": "show what differs, line by line",
    "forks": "how many hosts at a time",
    "json": "print the recap as JSON, and nothing else",
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
        from interlink.tasks import board  # other commands do without its libraries

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


@dataclass(frozen=True)
class Site:
    """An inventory: `whole` is what the server gets, `chosen` what the limit leaves."""

    settings: config.Settings
    whole: Inventory
    chosen: Inventory

    @classmethod
    def read(cls, inventory: Sequence[str] | None, limit: str) -> Site:
        """Read the inventory that a command line means."""
        settings = config.load({"inventory": list(inventory or ())})
        whole = inventories.load(settings.inventory)
        chosen = inventories.load(settings.inventory, limit) if limit else whole
        return cls(settings, whole, chosen)

    def servers(self) -> list[Host]:
        """Return the machines that run the server; this one where the inventory has no group interlink_server."""
        named = servers(self.whole)
        if not named:
            return [Host("localhost", vars={"ansible_connection": "local"})] if self.chosen is self.whole else []
        return [host for name, host in named.items() if name in self.chosen.hosts]

    def one_server(self) -> Host:
        """Return the one machine that is meant; ConfigError if there are several."""
        found = self.servers()
        if len(found) == 1:
            return found[0]
        names = ", ".join(host.name for host in found) or "none of the limit is in the group interlink_server"
        raise ConfigError(f"which server? name one by --limit: {names}")

    @contextmanager
    def pool(self) -> Iterator[Pool]:
        """Give connections with the host keys that this user has pinned."""
        with Pool(self.settings.known_hosts) as pool:
            yield pool
