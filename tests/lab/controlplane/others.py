"""Programs of the Kubernetes world beside the control plane, built on first need: minutes once, then never again."""

from __future__ import annotations

from pathlib import Path

from tests.lab import gomodule

PINS = Path(__file__).resolve().parents[1] / "pins"


def kwok() -> Path:
    """KWOK's controller: nodes that only pretend, as fast as that can be done."""
    return _program("kwok", "sigs.k8s.io/kwok/cmd/kwok")


def metrics_server() -> Path:
    """What `kubectl top` asks."""
    return _program("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server")


def _program(name: str, package: str) -> Path:
    pin = PINS / name
    into = gomodule.cache(pin, name)
    gomodule.build(pin, {name: package}, into)
    return into / name
