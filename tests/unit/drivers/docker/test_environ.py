"""environ.sh: variables under names that no shell can assign, by whichever tool the host has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interlink.drivers.docker import scripts

VARIABLES = {"app.conf": "a = b\n[c]\n", "T-long": "é" * 40_000, "with space": "", "#": "=\r"}
SHOW = "import json, os, sys; json.dump({'argv': sys.argv[1:], 'env': dict(os.environ)}, sys.stdout)"


def become(tmp_path: Path, tool: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command through environ.sh, on a machine that has just this tool."""
    (tmp_path / "environ.sh").write_text(scripts.text("environ"))
    (tmp_path / "file").write_bytes(b"".join(f"{name}={value}\0".encode() for name, value in VARIABLES.items()))
    (tmp_path / "bin").mkdir()
    if tool:
        there = os.path.realpath(sys.executable) if tool == "python3" else shutil.which(tool)
        (tmp_path / "bin" / tool).symlink_to(there or pytest.fail(f"no {tool} here"))
    argv = ["/bin/sh", str(tmp_path / "environ.sh"), str(tmp_path / "file"), *command]
    env = {"PATH": str(tmp_path / "bin"), "KEPT": "yes"}
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("tool", ["perl", "python3"])
def test_the_command_gets_its_arguments_and_every_variable(tmp_path: Path, tool: str) -> None:
    done = become(tmp_path, tool, sys.executable, "-c", SHOW, "a b", "$HOME", "")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["argv"] == ["a b", "$HOME", ""]
    assert {name: shown["env"].get(name) for name in VARIABLES} == VARIABLES
    assert shown["env"]["KEPT"] == "yes"


@pytest.mark.parametrize("tool", ["perl", "python3"])
def test_a_command_that_is_not_there_fails(tmp_path: Path, tool: str) -> None:
    assert become(tmp_path, tool, "/no/such/program").returncode not in (0, 126, 127)


def test_without_a_tool_it_says_what_is_missing(tmp_path: Path) -> None:
    done = become(tmp_path, "", sys.executable, "-c", SHOW)
    assert (done.returncode, done.stdout) == (125, "")
    assert "perl or python3" in done.stderr
