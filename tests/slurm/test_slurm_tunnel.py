"""TSOCKS: a compute node without a way out reaches the outside through the login node, by a real SOCKS tunnel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import process
from tests.lab.network import Namespace
from tests.slurm.stand import Stand, code

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
PORT = 8080


def library() -> str:
    """Debian's tsocks, wherever this architecture has it."""
    return str(next(path for path in Path("/usr/lib").rglob("libtsocks.so")))


def variables(login: str) -> dict[str, Any]:
    return {
        "interlink_tsocks": True,
        "interlink_tsocks_path": library(),
        "interlink_tsocks_login_node": login,
    }


def fetch(address: str) -> str:
    """A shell command that makes a connection by libc, as any program does."""
    return f"exec 3<>/dev/tcp/{address}/{PORT} && printf 'GET /word HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"


@pytest.fixture
def outside(namespace_factory: Callable[[], Namespace], private_directory: Path) -> Iterator[Namespace]:
    """A web server that is not of the cluster."""
    namespace, pages = namespace_factory(), private_directory / "pages"
    pages.mkdir()
    (pages / "word").write_text("from outside\n")
    daemon = process.Daemon("web", private_directory)
    daemon.start(namespace.inside("busybox", "httpd", "-f", "-p", str(PORT), "-h", str(pages)))
    yield namespace
    daemon.stop()


def test_a_compute_node_reaches_out_through_the_login_node(fragile: Callable[..., Stand], outside: Namespace) -> None:
    stand = fragile(lambda cluster: variables(cluster.computers["login1"].name))
    cluster = stand.cluster
    for name in cluster.slurmd:
        cluster.computers[name].run("iptables", "-A", "OUTPUT", "-d", outside.address, "-j", "REJECT")
    with pytest.raises(process.LabError, match="refused"):
        cluster.computers["n1"].run("bash", "-c", fetch(outside.address))
    with stand.run("", container={"command": ["bash", "-c", fetch(outside.address)]}) as run:
        item = run.ended()
        assert code(item) == 0, run.log()
        assert "from outside" in run.log()
    for name in cluster.slurmd:
        space = cluster.computers[name].path.stat().st_ino
        inside = [stat for stat in process.running() if process.network(stat) == space]
        assert "ssh" not in {stat.comm for stat in inside}


def test_a_tunnel_that_cannot_be_made_is_told(fragile: Callable[..., Stand]) -> None:
    stand = fragile(lambda _: variables("nowhere"))
    with stand.run("true") as run:
        item = run.ended()
        assert item["phase"] == "Failed"
        assert item["reason"] == "TunnelFailed"
