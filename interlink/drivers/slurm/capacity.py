"""What a cluster offers as a whole, from the facts that were gathered on its login node. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from interlink import errors
from interlink.model.driver import HostFacts

PODS = 10_000  # jobs that a controller takes by default (MaxJobCount)


def of(found: HostFacts, partition: str) -> HostFacts:
    """Return the facts with the partition's capacity in place of the login node's own; it is the default one for "".

    EngineUnavailable if the host has no Slurm that answers, or no such partition.
    """
    slurm: Mapping[str, Any] = found.raw.get("slurm") or {}
    rows: list[Mapping[str, Any]] = list(slurm.get("partitions") or ())
    if not rows:
        raise errors.EngineUnavailable(f"no Slurm here: {slurm.get('error') or 'sinfo is not installed'}")
    chosen = [row for row in rows if (row["name"] in partition.split(",") if partition else row["default"])]
    if partition and not chosen:
        known = ", ".join(str(row["name"]) for row in rows)
        raise errors.EngineUnavailable(f"Slurm has no partition {partition!r}; it has {known}")
    best = max(chosen or rows, key=lambda row: int(row["cpus"]))
    gpus = {"nvidia.com/gpu": int(best["gpus"])} if best["gpus"] else {}
    return replace(
        found,
        cpus=float(best["cpus"]),
        memory=int(best["total"]),
        gpus=gpus,
        pods=PODS,
        engine="slurm",
        engine_version=str(slurm.get("version", "")),
    )
