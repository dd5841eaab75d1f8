"""The images of the cases, made once on this machine and kept as a registry's files, outside the checkout.

The recipes want an engine that finds its images in a registry on its own loopback, and push there.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from tests.golden import agnhost
from tests.golden.directory import Golden
from tests.lab import gomodule, place, process
from tests.lab.docker import Dockerd
from tests.lab.network import Namespace

SUITE = "bookworm"
INCLUDED = ("python3", "bash", "curl", "iproute2", "procps", "ca-certificates")
MIRROR = "http://deb.debian.org/debian"
# program or file that shows the package is there: package
TOOLS = {"debootstrap": "debootstrap", "gcc": "gcc", "/usr/include/stdlib.h": "libc6-dev", "curl": "curl"}


def cache(golden: Golden) -> Path:
    """Where the images of these very recipes are kept."""
    digest = hashlib.sha256(platform.machine().encode())
    for recipe in golden.recipes:
        digest.update(recipe.read_bytes())
    return gomodule.home() / ".cache/interlink/golden" / digest.hexdigest()[:16]


def made(golden: Golden) -> bool:
    """True if the images are there."""
    return (cache(golden) / "complete").exists()


def make(golden: Golden, dockerd: Dockerd, directory: Path) -> None:
    """Build the images with this engine, unless they are there; its registry's files are in `directory`."""
    done = directory / "complete"
    if done.exists():
        return
    _install()
    with place.lock(directory / "lock"):
        if done.exists():
            return
        print("building the images of the golden pods, once on this machine: minutes", flush=True)
        work = directory / "work"
        work.mkdir(exist_ok=True)
        _base(work / "deb")
        program = agnhost.built()
        images, more = golden.recipes
        _recipe(dockerd, images, str(work), str(program))
        _recipe(dockerd, more, str(work / "more"))
        shutil.rmtree(work)
        done.touch()


def _install() -> None:
    path = process.search_path()
    absent = [
        package
        for probe, package in TOOLS.items()
        if not (Path(probe).exists() if probe.startswith("/") else shutil.which(probe, path=path))
    ]
    if absent:
        _run(["apt-get", "-q", "update"])
        _run(
            ["apt-get", "-q", "install", "-y", "--no-install-recommends", *absent],
            {"DEBIAN_FRONTEND": "noninteractive"},
        )


def _base(target: Path) -> None:
    """Debian's base system with Python; made here because the recipe runs where there is no way out."""
    if target.exists():
        return
    scratch = target.with_suffix(".new")
    shutil.rmtree(scratch, ignore_errors=True)
    mirror = os.environ.get("DEBIAN_MIRROR") or MIRROR
    _run(["debootstrap", "--variant=minbase", f"--include={','.join(INCLUDED)}", SUITE, str(scratch), mirror])
    for archive in (scratch / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    (scratch / "usr/bin/python").symlink_to("python3")
    scratch.rename(target)


def _recipe(dockerd: Dockerd, script: Path, *arguments: str) -> None:
    namespace: Namespace = dockerd.namespace
    _run(namespace.inside("bash", str(script), *arguments), {**dockerd.env, "DOCKER_BUILDKIT": "0"})


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        env={**process.clean_environment(), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace")[-2000:]
        raise process.LabError(f"{' '.join(command)}: exit code {done.returncode}: {said}")
