"""Tasks on the virtual nodes of a server."""

from __future__ import annotations

import json as jsons

from invoke.context import Context

from interlink.model.driver import NodeRecord
from interlink.model.wire import v1
from interlink.tasks import reaching, tables
from interlink.tasks.command import command

_OPTIONS = {name: reaching.HELP[name] for name in ("inventory", "server", "token-file")}


@command(name="list", iterable=["inventory"], help={**_OPTIONS, "json": "print JSON"})
def list_nodes(
    _: Context, inventory: list[str] | None = None, server: str = "", token_file: str = "", json: bool = False
) -> None:
    """Show the virtual nodes, what they offer, and whether their hosts are reached."""
    with reaching.composition(server, inventory=inventory or (), token_file=token_file) as driver:
        records = driver.nodes()
    if json:
        print(jsons.dumps({"nodes": [v1.node_json(record) for record in records]}, indent=2))
        return
    rows = [[r.name, _condition(r, "Ready"), _condition(r, "InterlinkConnectivity"), *_offer(r)] for r in records]
    tables.show(("NAME", "READY", "REACHED", "CPU", "MEMORY", "PODS", "REASON"), rows)


def _condition(node: NodeRecord, kind: str) -> str:
    return next((str(c.get("status")) for c in node.conditions if c.get("type") == kind), "-")


def _offer(node: NodeRecord) -> list[str]:
    reasons = [str(c.get("message") or "") for c in node.conditions]
    return [*(node.capacity.get(name, "-") for name in ("cpu", "memory", "pods")), "; ".join(filter(None, reasons))]
