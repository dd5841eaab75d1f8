"""The installed command on inventories of a test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def interlink(tmp_path: Path) -> Run:
    """Run `interlink` with a state directory of the test's own, and an inventory of these hosts or children."""

    def run(
        *arguments: str, hosts: dict[str, dict[str, Any]] | None = None, timeout: float = 280, **content: Any
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
