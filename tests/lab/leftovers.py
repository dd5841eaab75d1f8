"""Removal of what an engine leaves when it ends: shims, mounts, files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab import process

ENGINE_PROGRAMS = ("containerd", "dockerd", "docker-proxy", "conmon", "runc", "crun")


def sweep(directory: Path) -> None:
    """Kill the engine processes that work for `directory`, and their containers; unmount and delete it."""
    served = [stat for stat in process.naming(f"{directory}/") if stat.comm.startswith(ENGINE_PROGRAMS)]
    trees = [stat for parent in served for stat in [parent, *process.descendants(parent.pid)]]
    process.end(trees, f"what runs in {directory}")
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([path for path in mounts if path.startswith(f"{directory}/")]):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    if directory.exists():
        gone = directory.rename(directory.with_name(f"{directory.name}.gone"))  # nobody writes there any more
        for _ in range(5):  # a process that dies just now may still be busy in it
            shutil.rmtree(gone, ignore_errors=True)
        if gone.exists():
            raise process.LabError(f"cannot delete {gone}")


def remove_cgroups(names: Sequence[str]) -> None:
    """Remove empty groups of these names, and those below them, from every hierarchy of cgroups version 1."""
    for name in names:
        for top in Path("/sys/fs/cgroup").glob(f"*/{name}"):
            for path in sorted(top.rglob("*/"), reverse=True):
                path.rmdir()
            top.rmdir()
