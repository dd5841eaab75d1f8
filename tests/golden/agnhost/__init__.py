"""agnhost, the server of every kind from Kubernetes' own tests, built once from the Go module that go.mod pins."""

from __future__ import annotations

from pathlib import Path

from tests.lab import gomodule

HERE = Path(__file__).resolve().parent


def built() -> Path:
    """Return the program, building it first if need be; LabError without Go, or if the build fails."""
    directory = gomodule.cache(HERE, "agnhost")
    gomodule.build(HERE, {"agnhost": "k8s.io/kubernetes/test/images/agnhost"}, directory)
    return directory / "agnhost"
