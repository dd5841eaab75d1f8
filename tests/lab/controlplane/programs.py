"""The control plane's programs: found, or built once from the Go module that go.mod and go.sum pin.

Kubernetes publishes no Debian package and no wheel of its servers; its Go module can be had wherever Go
modules can. The build (six minutes cold on two cores) is kept in a directory of the user's own, named by
the hash of go.sum, so that every checkout of one pin shares it.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.lab import gomodule, process
from tests.lab.gomodule import go

HERE = Path(__file__).resolve().parent
NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ASSETS = "KUBEBUILDER_ASSETS"  # the variable by which Kubernetes' own test tools find these programs


def cache() -> Path:
    """Where this pin's build is kept."""
    return gomodule.cache(HERE, "kubernetes")


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


def build() -> list[str]:
    """Build what is missing into the cache; returns the names built. LabError without Go, or if a build fails."""
    if directory():
        return []
    if not go():
        raise process.LabError(obstacle())
    return gomodule.build(HERE, {name: f"k8s.io/kubernetes/cmd/{name}" for name in NAMES}, cache(), ldflags())


def version() -> str:
    """The pinned version, such as v1.36.3."""
    return gomodule.version(HERE, "k8s.io/kubernetes")


def ldflags() -> str:
    """Without these the server calls itself v0.0.0."""
    major, minor, _ = version()[1:].split(".")
    values = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in values.items())])
