"""The control plane's programs: found, or built once from the Go module that go.mod and go.sum pin.

Kubernetes publishes no Debian package and no wheel of its servers; its Go module can be had wherever Go
modules can. The build (six minutes cold on two cores) is kept in a directory of the user's own, named by
the hash of go.sum, so that every checkout of one pin shares it.
"""

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

HERE = Path(__file__).resolve().parent
NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ASSETS = "KUBEBUILDER_ASSETS"  # the variable by which Kubernetes' own test tools find these programs


def home() -> Path:
    """The account's real home directory: tests replace $HOME."""
    return Path(pwd.getpwuid(os.geteuid()).pw_dir)


def cache() -> Path:
    """Where this pin's build is kept."""
    pin = hashlib.sha256((HERE / "go.sum").read_bytes()).hexdigest()
    return home() / ".cache/interlink/kubernetes" / pin[:16]


def directory() -> Path | None:
    """The directory that has all programs: $KUBEBUILDER_ASSETS, our cache, one of PATH's; None if there is none."""
    named = os.environ.get(ASSETS)
    candidates = [*([Path(named)] if named else []), cache(), *map(Path, process.search_path().split(":"))]
    return next((path for path in candidates if all(os.access(path / name, os.X_OK) for name in NAMES)), None)


def obstacle() -> str:
    """Why the programs cannot be run now, and what to do about it, or ""."""
    if directory():
        return ""
    if not go():
        return f"install Go (https://go.dev/dl), or name the directory of {', '.join(NAMES)} in ${ASSETS}"
    return "the Kubernetes control plane is not built: .venv/bin/inv lab.up --parts kubernetes"


def go() -> str | None:
    """The go command, which is often outside PATH."""
    return shutil.which("go", path=f"{process.search_path()}:/usr/local/go/bin:/usr/lib/go/bin")


def build() -> list[str]:
    """Build what is missing into the cache; returns the names built. LabError without Go, or if a build fails."""
    if directory():
        return []
    program = go()
    if not program:
        raise process.LabError(obstacle())
    cache().mkdir(parents=True, exist_ok=True)
    with place.lock(cache() / "lock"):
        missing = [name for name in NAMES if not os.access(cache() / name, os.X_OK)]
        for name in missing:
            print(f"building {name} {version()}, once on this machine: minutes", flush=True)
            _build(program, name)
    return missing


def _build(program: str, name: str) -> None:
    env = {**os.environ, "HOME": str(home()), "CGO_ENABLED": "0"}
    with _scratch() as made:
        command = [
            program,
            "build",
            "-trimpath",
            "-ldflags",
            ldflags(),
            "-o",
            str(made),
            f"k8s.io/kubernetes/cmd/{name}",
        ]
        done = subprocess.run(command, cwd=HERE, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise process.LabError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
        made.replace(cache() / name)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A file beside its final place: a program is there whole or not at all."""
    with tempfile.TemporaryDirectory(dir=cache(), prefix="build.") as path:
        yield Path(path) / "program"


def version() -> str:
    """The pinned version, such as v1.36.3."""
    found = re.search(r"^require k8s\.io/kubernetes (v\S+)$", (HERE / "go.mod").read_text(), re.MULTILINE)
    assert found
    return found[1]


def ldflags() -> str:
    """Without these the server calls itself v0.0.0."""
    major, minor, _ = version()[1:].split(".")
    values = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in values.items())])
