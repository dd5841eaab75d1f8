"""Tasks on the hosts of the inventory: list them, see whether they answer, what they have, trust their keys."""

from __future__ import annotations

import json as jsons
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

from invoke.context import Context
from invoke.exceptions import Exit

from interlink.config import inventory as inventories
from interlink.config import settings
from interlink.deploy import cures
from interlink.errors import CommandFailed, InputError
from interlink.model.driver import HostFacts
from interlink.model.host import Host
from interlink.model.login import Login
from interlink.remote import facts as host_facts
from interlink.remote.hostkeys import OfferedKey
from interlink.remote.pool import Pool
from interlink.tasks import tables
from interlink.tasks.asking import Answer, ask
from interlink.tasks.command import command

T = TypeVar("T")

HELP = {
    "inventory": "inventory file or directory, or host names separated by commas; may be repeated",
    "limit": "only hosts of this pattern, e.g. 'gpu:!node07'",
    "json": "print JSON",
    "forks": "how many hosts are asked at a time",
    "timeout": "seconds for each host",
}


def chosen(inventory: Sequence[str] | None, limit: str) -> tuple[list[Host], settings.Settings]:
    """Return the hosts that a command line means, and the settings."""
    current = settings.load({"inventory": list(inventory or ())})
    return list(inventories.load(current.inventory, limit).hosts.values()), current


@command(name="list", iterable=["inventory"], help={k: HELP[k] for k in ("inventory", "limit", "json")})
def list_hosts(_: Context, inventory: list[str] | None = None, limit: str = "", json: bool = False) -> None:
    """Show the hosts of the inventory, without asking them."""
    hosts, _settings = chosen(inventory, limit)
    rows = [_described(host) for host in hosts]
    if json:
        print(jsons.dumps({"hosts": rows}, indent=2))
    else:
        columns = ("name", "address", "driver", "node", "groups")
        tables.show([c.upper() for c in columns], [[_cell(row[c]) for c in columns] for row in rows])


@command(iterable=["inventory"], help=HELP)
def ping(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    json: bool = False,
    forks: int = 32,
    timeout: int = 30,
) -> None:
    """Log in to all hosts at once and see whether they run a command."""
    answers = _ask(inventory, limit, forks, lambda host, pool: _greet(host, pool, timeout))
    if json:
        _print_json(answers, lambda a: {"ok": a.error is None, "seconds": round(a.seconds, 3)})
    else:
        rows = [[a.host.name, "failed" if a.error else "ok", f"{a.seconds * 1000:.0f} ms"] for a in answers]
        tables.show(("NAME", "ANSWER", "TIME"), rows)
    conclude(answers)


@command(iterable=["inventory"], help=HELP)
def facts(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    json: bool = False,
    forks: int = 32,
    timeout: int = 60,
) -> None:
    """Show CPUs, memory, GPUs, disk, engine and Slurm of all hosts, asked at once."""
    answers = _ask(
        inventory, limit, forks, lambda host, pool: host_facts.gather(host, pool.connection(host), timeout=timeout)
    )
    if json:
        _print_json(answers, lambda a: asdict(a.value) if a.value else {})
    else:
        columns = ("NAME", "CPUS", "MEMORY", "GPUS", "DISK FREE", "ENGINE", "SLURM", "SYSTEM", "CERTIFICATE UNTIL")
        tables.show(columns, [[a.host.name, *_row(a.value)] for a in answers])
    conclude(answers)


@command(
    positional=["pattern"],
    iterable=["inventory"],
    help={
        "pattern": "the host, or a pattern of several",
        "inventory": HELP["inventory"],
        "yes": "trust what is offered, without asking; only where nobody can be in between",
        "replace": "also where another key is pinned",
    },
)
def trust(
    _: Context, pattern: str, inventory: list[str] | None = None, yes: bool = False, replace: bool = False
) -> None:
    """Show the keys that hosts and their gateways offer, and pin those that you know to be right."""
    hosts, current = chosen(inventory, pattern)
    settings.private_directory(current.state_dir)
    failed = False
    with Pool(current.known_hosts) as pool:
        for host in hosts:
            [answer] = ask([host], lambda h: _trust(h, pool, _agree(h, yes=yes), replace=replace), 1)
            print(answer.value or answer.error, file=sys.stderr if answer.error else sys.stdout)
            failed = failed or answer.error is not None
    if failed:
        raise Exit(code=1)


def _trust(host: Host, pool: Pool, accept: Callable[[OfferedKey], bool], *, replace: bool) -> str:
    if Login.of(host).local:
        return f"{host.name}: this machine, no key is needed"
    keys = pool.trust(host, accept, replace=replace)
    return "\n".join(f"{host.name}: {'known already' if k.known else 'trusted'}: {_key(k)}" for k in keys)


def _agree(host: Host, *, yes: bool) -> Callable[[OfferedKey], bool]:
    """Return what decides on a key: --yes, or whoever sits at the terminal."""

    def accept(key: OfferedKey) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise InputError(
                f"host {host.name} offers {_key(key)}; compare it, then say --yes (there is no terminal to ask)"
            )
        return input(f"{host.name} offers {_key(key)}\nIs that the host's own key? [y/N] ").strip().lower() in (
            "y",
            "yes",
        )

    return accept


def _key(key: OfferedKey) -> str:
    return f"{key.type} {key.fingerprint} ({key.name})"


def _ask(
    inventory: Sequence[str] | None, limit: str, forks: int, question: Callable[[Host, Pool], T]
) -> list[Answer[T]]:
    hosts, current = chosen(inventory, limit)
    with Pool(current.known_hosts) as pool:
        return ask(hosts, lambda host: question(host, pool), forks)


def _greet(host: Host, pool: Pool, timeout: float) -> None:
    result = pool.connection(host).run("exit 0", timeout=timeout)
    if result.code:
        raise CommandFailed(
            f"host {host.name}: its shell ends with {result.code}: {result.error_text}", code=result.code
        )


def conclude(answers: Iterable[Answer[Any]]) -> None:
    """Say what went wrong, host by host, and end with 1 if anything did."""
    complaints = [line for answer in answers for line in _complaints(answer)]
    for line in complaints:
        print(line, file=sys.stderr)
    if complaints:
        raise Exit(code=1)


def _complaints(answer: Answer[Any]) -> Iterable[str]:
    """Errors name their host already; an engine counts only where the inventory asks for the docker driver."""
    if answer.error:
        named = "" if answer.host.name in str(answer.error) else f"host {answer.host.name}: "
        yield f"{named}{answer.error}{cures.cure(answer.error)}"
    elif isinstance(answer.value, HostFacts) and answer.host.driver == "docker" and not answer.value.engine:
        name = str(answer.host.get("interlink_engine"))
        state = answer.value.raw["engines"][name]
        cure = f"; {state['cure']}" if "cure" in state else ""
        yield f"host {answer.host.name}: {name} does not work: {state['error']}{cure}"


def _print_json(answers: Iterable[Answer[T]], content: Callable[[Answer[T]], dict[str, Any]]) -> None:
    rows = [{"name": a.host.name, **content(a), **({"error": str(a.error)} if a.error else {})} for a in answers]
    print(jsons.dumps({"hosts": rows}, indent=2))


def _described(host: Host) -> dict[str, Any]:
    login = Login.of(host)
    address = f"{login.user}@{login.address}" if login.user else login.address
    return {
        "name": host.name,
        "address": "local" if login.local else f"{address}:{login.port}" if login.port else address,
        "driver": host.driver,
        "node": host.node,
        "groups": list(host.groups),
    }


def _cell(value: Any) -> str:
    return (", ".join(value) if isinstance(value, list) else str(value)) or "-"


def _row(found: HostFacts | None) -> list[str]:
    """Return the columns of a host's facts behind its name."""
    if found is None:
        return ["-"] * 8
    return [
        f"{found.cpus:g}" if found.cpus else "-",
        tables.size(found.memory),
        ", ".join(f"{count} {name}" for name, count in found.gpus.items()) or "-",
        tables.size((found.raw.get("disk") or {}).get("free")),
        f"{found.engine} {found.engine_version}" if found.engine else "-",
        _slurm(found.raw.get("slurm") or {}),
        f"{found.raw.get('os') or found.raw.get('kernel', '-')} {found.arch}",
        _until(found.raw.get("certificate_expires")),
    ]


def _slurm(found: dict[str, Any]) -> str:
    if not found:
        return "-"
    names = ", ".join(f"{p['name']} ({p['nodes']})" for p in found.get("partitions", ()))
    return f"{found.get('version', '?')}: {found.get('error') or names or 'no partitions'}"


def _until(text: str | None) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC" if text else "-"
