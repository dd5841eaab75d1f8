"""The root file system of HPC computers: made once by root.sh, kept in a cache, and an overlay on it per cluster."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab import gomodule, place, process

RECIPE = Path(__file__).with_name("root.sh")
MIRROR = "http://deb.debian.org/debian"


def cache() -> Path:
    """Where this recipe's result is kept: every checkout of one recipe shares it."""
    digest = hashlib.sha256(RECIPE.read_bytes()).hexdigest()
    return gomodule.home() / ".cache/interlink/hpc" / digest[:16]


def made() -> Path | None:
    """The root file system, or None if it has not been made."""
    return cache() / "root" if (cache() / "root").exists() else None


def build() -> list[str]:
    """Make it unless it is there: some minutes; returns what is new. LabError with the end of the log if that fails."""
    if made():
        return []
    target = cache()
    target.mkdir(parents=True, exist_ok=True)
    with place.lock(target / "lock"):
        if made():
            return []
        print("making a Debian with Apptainer, once on this machine: minutes", flush=True)
        scratch = Path(tempfile.mkdtemp(prefix="making.", dir=target))
        scratch.chmod(0o755)
        log = target / "log"
        with log.open("wb") as file:
            argv = ["sh", str(RECIPE), str(scratch / "root"), _mirror()]
            env = {**os.environ, **process.clean_environment()}
            code = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False)
        if code.returncode:
            shutil.rmtree(scratch)
            raise process.LabError(f"{RECIPE}: {log.read_text(errors='replace')[-2000:]}")
        (scratch / "root").rename(target / "root")
        scratch.rmdir()
    return ["a Debian with Apptainer"]


def _mirror() -> str:
    """The mirror that this Debian uses itself."""
    for path in sorted(Path("/etc/apt/sources.list.d").glob("debian.sources")):
        for line in path.read_text().splitlines():
            if line.startswith("URIs:"):
                return line.split()[1]
    return MIRROR


@dataclass(frozen=True)
class Overlay:
    """A file system of a cluster's own over the shared one; what its computers write stays in `directory`."""

    directory: Path

    @property
    def path(self) -> Path:
        return self.directory / "root"

    @property
    def mounted(self) -> bool:
        return os.path.ismount(self.path)

    def mount(self) -> None:
        """Mount it; does nothing if it is."""
        if self.mounted:
            return
        lower = made()
        if not lower:
            raise process.LabError("the HPC root is not made: .venv/bin/inv lab.up --parts hpc")
        for name in ("root", "upper", "work"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={lower},upperdir={self.directory}/upper,workdir={self.directory}/work"
        done = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, str(self.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise process.LabError(f"overlay on {self.path}: {done.stderr.strip()}")

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the computers."""
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def read(self, name: str) -> str:
        return (self.path / name.lstrip("/")).read_text()
