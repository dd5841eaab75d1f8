"""`hosts.adopt`: whose pods are on the hosts, and taking over those of a server whose ledger is lost."""

from __future__ import annotations

import json as jsons
from collections import Counter
from collections.abc import Iterable

from invoke.context import Context

from interlink.errors import CommandFailed, InputError
from interlink.model.host import Host
from interlink.remote import shell
from interlink.remote.pool import Pool
from interlink.tasks import hosts, tables
from interlink.tasks.asking import Answer, ask
from interlink.tasks.command import command

_SLURM = "-slurm"  # its bundles may share a home with those of a docker host
_LOOK = 'cd {root} 2>/dev/null || exit 0\nfor i in */pods/*; do if [ -d "$i" ]; then echo "${{i%%/*}}"; fi; done\n'


@command(
    iterable=["inventory"],
    help={
        "server_id": "the id whose pods this machine's server takes over at its next start",
        **{name: hosts.HELP[name] for name in ("inventory", "limit", "json", "forks", "timeout")},
    },
)
def adopt(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    server_id: str = "",
    json: bool = False,
    forks: int = 32,
    timeout: int = 60,
) -> None:
    """Show whose pods are on the hosts; with --server-id, take them over (after the loss of a server's state)."""
    chosen, current = hosts.chosen(inventory, limit)
    with Pool(current.known_hosts) as pool:
        answers = ask(chosen, lambda host: _owners(host, pool, timeout), forks)
    if not server_id:
        _show(answers, json=json)
    hosts.conclude(answers)  # a host that does not answer may have pods, too
    if server_id:
        number = sum(answer.value[server_id] for answer in answers if answer.value)
        if not number:
            there = ", ".join(sorted({owner for answer in answers for owner in answer.value or ()}))
            raise InputError(f"no host has pods of the server id {server_id}; those that have any: {there or 'none'}")
        from interlink import compose  # SQLAlchemy takes a moment that no other command needs

        compose.take_over(current, server_id)
        print(f"{number} pods of {server_id} are this server's from its next start on: restart it now")


def _owners(host: Host, pool: Pool, timeout: float) -> Counter[str]:
    result = pool.connection(host).run(_LOOK.format(root=shell.path(host.root)), timeout=timeout)
    if result.code:
        raise CommandFailed(f"host {host.name}: {result.error_text}", code=result.code)
    return Counter(owner.removesuffix(_SLURM) for owner in result.text.split())


def _show(answers: Iterable[Answer[Counter[str]]], *, json: bool) -> None:
    rows = [(a.host.name, owner, pods) for a in answers for owner, pods in sorted((a.value or {}).items())]
    if json:
        print(jsons.dumps({"owners": [dict(zip(("host", "id", "pods"), row, strict=True)) for row in rows]}, indent=2))
    else:
        tables.show(("HOST", "SERVER ID", "PODS"), [[name, owner, str(pods)] for name, owner, pods in rows])
