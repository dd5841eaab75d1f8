"""The documents agree with the code: the inventory's reference, links, commands that exist, units."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlink import tasks
from interlink.config import reference
from interlink.deploy import kubelet, server, units
from interlink.deploy.machine import Machine
from interlink.model.host import Host

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
AT = Machine(user="root", uid=0, base="/opt/interlink", python="/usr/bin/python3", manager="system")


def test_the_reference_is_current() -> None:
    page = (ROOT / "docs/inventory.md").read_text()
    assert page == reference.document(), "python -m interlink.config.reference > docs/inventory.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the command lines of interlink and inv in a page's code blocks."""
    for block in re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|", line.partition(" #")[0]):
                words = shlex.split(part)
                while words and "=" in words[0]:
                    words = words[1:]
                if words and Path(words[0]).name in ("interlink", "inv"):
                    yield words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_with_their_flags(page: Path) -> None:
    known = tasks.namespace()
    for words in commands(page):
        name = words[1] if len(words) > 1 else "--help"
        if name.startswith("-") or name in ("kubelet", "test", "lint", "bench", "lab.up", "lab.status", "golden"):
            continue
        assert name in known.task_names or any(name in aliases for aliases in known.task_names.values()), words
        flags = {flag for argument in known[name].get_arguments() for flag in _spellings(argument.names)}
        for word in words[2:]:
            if word.startswith("-"):
                assert word.partition("=")[0] in flags, words


def _spellings(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"


@pytest.mark.parametrize("name", [server.NAME, kubelet.NAME])
def test_the_units_for_those_who_install_by_hand_are_the_deployed_ones(name: str) -> None:
    host = Host("box")
    service = server.service(AT) if name == server.NAME else kubelet.service(host, AT)
    path = ROOT / f"deploy/systemd/{name}.service"
    assert path.read_text() == units.unit(service, system=True), "interlink.deploy.units"
