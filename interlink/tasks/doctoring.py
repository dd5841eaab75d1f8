"""`doctor`: walk from SSH to the API server, and name the first broken link of each chain with its cure."""

from __future__ import annotations

import json as jsons
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from interlink.client import Client
from interlink.config import kubelet as kubelet_config
from interlink.deploy import chain
from interlink.deploy import server as served
from interlink.deploy.chain import Link, Verdict
from interlink.deploy.cluster import Cluster
from interlink.model.host import Host, nodes, servers, workers
from interlink.tasks import reaching, tables
from interlink.tasks.command import command
from interlink.tasks.deployment import HELP, Site

_NODE_SECONDS = 5.0


@command(
    iterable=["inventory"],
    help={
        **{name: HELP[name] for name in ("inventory", "limit", "forks", "json")},
        "server": f"{reaching.HELP['server']} (default: asked on its machine where the inventory names one)",
        "token-file": reaching.HELP["token-file"],
        "kubeconfig": "kubeconfig of the cluster (default: interlink_kubeconfig; without one it is left out)",
    },
)
def doctor(
    _: Context,
    inventory: list[str] | None = None,
    limit: str = "",
    forks: int = 32,
    json: bool = False,
    server: str = "",
    token_file: str = "",
    kubeconfig: str = "",
) -> None:
    """Walk the way of a pod, from the hosts to the cluster; name what is broken, and what mends it."""
    site = Site.read(inventory, limit)
    known = kubelet_config.Flags(server=server, token_file=token_file, kubeconfig=kubeconfig)
    asked = kubelet_config.load(known)
    url = server or served.url(site.settings.listen)
    deployed = [] if server or not servers(site.whole) else site.servers()
    with site.pool() as pool, closing(Client(url, token_file=asked.peer.token_file)) as client:
        chains: list[Sequence[Link]] = [chain.host_links(h, pool) for h in workers(site.chosen).hosts.values()]
        chains += [chain.deployed_links(h, pool) for h in deployed]
        if server or not servers(site.whole):
            chains.append(chain.server_links(f"server at {url}", client.ready))
        for path in [asked.kubeconfig] if asked.kubeconfig else sorted({*filter(None, map(_kubeconfig, deployed))}):
            names = list(nodes(workers(site.whole)))
            chains.append(chain.cluster_links(Cluster(path), names, _NODE_SECONDS))
        with ThreadPoolExecutor(max(1, forks)) as executor:
            verdicts = [v for found in executor.map(lambda links: list(chain.walk(links)), chains) for v in found]
    _tell(verdicts, json=json)


def _kubeconfig(host: Host) -> str:
    """Return the kubeconfig, on this machine, of the cluster that a server's kubelet joins; "" without one."""
    named = "" if host.get("interlink_kubelet") == "none" else str(host.get("interlink_kubeconfig") or "")
    return str(Path(named).expanduser()) if named else ""


def _tell(verdicts: Sequence[Verdict], *, json: bool) -> None:
    broken = [verdict for verdict in verdicts if verdict.state == "broken"]
    if json:
        print(jsons.dumps({"ok": not broken, "links": [asdict(verdict) for verdict in verdicts]}, indent=2))
    else:
        tables.show(("LINK", "STATE", "NOTE"), [[v.name, v.state, v.note] for v in verdicts])
        print(f"broken: {broken[0].name}: {broken[0].note}" if broken else "every link holds", file=sys.stderr)
    if broken:
        raise Exit(code=1)
