"""The installed command on inventories of a test's own, and one machine that several tests deploy to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.site import Site, serving
from tests.lab import shared

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def interlink(tmp_path: Path) -> Run:
    """Run `interlink` with a state directory of the test's own, and an inventory of these hosts or children."""

    def run(
        *arguments: str, hosts: Mapping[str, Mapping[str, Any]] | None = None, timeout: float = 280, **content: Any
    ) -> subprocess.CompletedProcess[str]:
        if hosts is not None or content:
            everything = {"all": {"hosts": hosts or {}, **content}}
            (tmp_path / "inventory.yaml").write_text(yaml.safe_dump(everything, sort_keys=False))
            arguments = (*arguments, "-i", str(tmp_path / "inventory.yaml"))
        return subprocess.run(
            [str(Path(sys.executable).with_name("interlink")), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
            env={**os.environ, "INTERLINK_STATE": str(tmp_path / "state")},
        )

    return run


@pytest.fixture(scope="session")
def site(lab_part: Callable[[str], shared.Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A machine with a deployed server; each test leaves it running, by the installed interLink."""
    lab = lab_part("sshd")
    directory = lab.private_directory()
    try:
        with serving(directory, tmp_path_factory.mktemp("admin")) as made:
            yield made
    finally:
        lab.remove_private(directory)
