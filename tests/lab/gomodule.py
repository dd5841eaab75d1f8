"""Programs of Go modules that are published nowhere else: built once from a pin, and kept for all checkouts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.lab import place, process


def home() -> Path:
    """The account's real home directory: tests replace $HOME."""
    return Path(pwd.getpwuid(os.geteuid()).pw_dir)


def go() -> str | None:
    """The go command, which is often outside PATH."""
    return shutil.which("go", path=f"{process.search_path()}:/usr/local/go/bin:/usr/lib/go/bin")


def cache(pin: Path, family: str) -> Path:
    """Where the builds of a pin (a directory with go.mod and go.sum) are kept."""
    digest = hashlib.sha256((pin / "go.sum").read_bytes()).hexdigest()
    return home() / ".cache/interlink" / family / digest[:16]


def version(pin: Path, module: str) -> str:
    """The pinned version of a module, such as v1.36.3."""
    found = re.search(rf"^require {re.escape(module)} (v\S+)$", (pin / "go.mod").read_text(), re.MULTILINE)
    assert found, f"{pin / 'go.mod'} pins no {module}"
    return found[1]


def source(pin: Path, module: str) -> Path:
    """Where Go keeps the source of a pinned module that has been built."""
    command = [go() or "go", "list", "-m", "-f", "{{.Dir}}", module]
    env = {**os.environ, "HOME": str(home())}
    return Path(subprocess.run(command, cwd=pin, env=env, check=True, capture_output=True, text=True).stdout.strip())


def build(pin: Path, packages: dict[str, str], into: Path, flags: str = "-s -w") -> list[str]:
    """Build what is missing of name -> package; returns the names built. LabError without Go, or if a build fails."""
    program = go()
    if not program:
        raise process.LabError(f"install Go (https://go.dev/dl) to build {', '.join(packages)}")
    into.mkdir(parents=True, exist_ok=True)
    with place.lock(into / "lock"):
        missing = [name for name in packages if not os.access(into / name, os.X_OK)]
        for name in missing:
            print(f"building {packages[name]}, once on this machine: minutes", flush=True)
            _build(program, pin, packages[name], into / name, flags)
    return missing


def _build(program: str, pin: Path, package: str, target: Path, flags: str) -> None:
    env = {**os.environ, "HOME": str(home()), "CGO_ENABLED": "0"}
    with _scratch(target.parent) as made:
        command = [program, "build", "-trimpath", "-ldflags", flags, "-o", str(made), package]
        done = subprocess.run(command, cwd=pin, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise process.LabError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
        made.replace(target)


@contextlib.contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    """A file beside its final place: a program is there whole or not at all."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="build.") as path:
        yield Path(path) / "program"
