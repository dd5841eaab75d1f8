"""The lab in words, for a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from tests.lab.controlplane import programs
from tests.lab.shared import Lab


def table(rows: Mapping[str, str]) -> str:
    """Two columns."""
    return "\n".join(f"{name:10} {value}" for name, value in rows.items())


def commands(lab: Lab) -> str:
    """Shell lines to paste: how to reach each part by hand."""
    lines = []
    for host in (lab.docker_host, lab.podman_host):
        assert host.engine is not None
        env = [f"{key}={value}" for key, value in host.engine.env.items()]
        lines += [
            f"# {host.name}: {host.engine.name} over SSH, and from here",
            shlex.join(host.ssh()),
            shlex.join(["env", *env, *host.engine.command, "ps"]),
        ]
    closed = lab.private_registry
    lines += [
        f"# registries: {lab.registry.address}, and {closed.address} for {closed.user} / {closed.password}",
        f"# Slurm: export SLURM_CONF={lab.slurm.conf} to be its administrator; its login nodes",
        *(shlex.join(host.ssh()) for host in lab.slurm.hosts),
        "# HPC: another Slurm, with Apptainer",
        *(shlex.join(host.ssh()) for host in lab.hpc.hosts),
        f"# PostgreSQL: {lab.postgres.url('postgres')}",
        f"# Kubernetes, once `up` has started it: export KUBECONFIG={lab.kubernetes.admin}; kubectl is",
        f"{programs.directory() or '(not built)'}/kubectl",
    ]
    return "\n".join(lines)
