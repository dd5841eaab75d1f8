"""Programs of the Kubernetes world beside the control plane, built on first need: minutes once, then never again."""

from __future__ import annotations

from pathlib import Path

from tests.lab import gomodule

PINS = Path(__file__).resolve().parents[1] / "pins"


def kwok() -> Path:
    """KWOK's controller: nodes that only pretend, as fast as that can be done."""
    return _program("kwok", "sigs.k8s.io/kwok/cmd/kwok")


def kwok_stages() -> Path:
    """What KWOK does with nodes and pods: as fast as it can, the node with a lease. Of its own module's files."""
    pin = PINS / "kwok"
    into = gomodule.cache(pin, "kwok") / "stages.yaml"
    if not into.exists():
        source = gomodule.source(pin, "sigs.k8s.io/kwok") / "kustomize/stage"
        named = ("node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease")
        named += tuple(f"pod/fast/pod-{what}" for what in ("ready", "complete", "delete"))
        made = into.with_suffix(".new")
        made.write_text("\n---\n".join((source / f"{name}.yaml").read_text() for name in named))
        made.replace(into)  # whole or not at all
    return into


def metrics_server() -> Path:
    """What `kubectl top` asks."""
    return _program("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server")


def _program(name: str, package: str) -> Path:
    pin = PINS / name
    into = gomodule.cache(pin, name)
    gomodule.build(pin, {name: package}, into)
    return into / name
