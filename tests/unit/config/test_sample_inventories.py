"""The inventories that come with the project."""

from __future__ import annotations

from pathlib import Path

from interlink.config import inventory
from interlink.model.host import nodes
from interlink.model.login import Login

DIRECTORY = Path(__file__).parents[3] / "inventory"


def test_local_is_this_machine() -> None:
    found = inventory.load([str(DIRECTORY / "local.yaml")])
    [host] = found.hosts.values()
    assert Login.of(host).local
    assert host.driver == "auto"


def test_the_example() -> None:
    found = inventory.load([str(DIRECTORY / "example.yaml")])
    assert {name: [h.name for h in node.hosts] for name, node in nodes(found).items()} == {
        "lab": [*(f"docker0{i}.lab.example.org" for i in (1, 2, 3)), "gpu01.lab.example.org"],
        "podman": ["podman01"],
        "hpc": ["login1.hpc.example.org", "login2.hpc.example.org"],
    }
    login = found.hosts["login1.hpc.example.org"]
    assert Login.of(login).jumps == ("alice@gateway.example.org:2200",)
    assert Login.of(login).user == "a0042"
    assert login.get("interlink_capacity") == {"cpu": "4096", "memory": "16Ti", "nvidia.com/gpu": "256"}
    assert nodes(found)["lab"].vars["interlink_labels"] == {"example.org/site": "lab"}
