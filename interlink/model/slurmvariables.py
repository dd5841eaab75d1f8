"""The host variables for Slurm: name, kind, default, example, meaning; and the existing plugin's names for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlink.model import kinds

ROWS: tuple[tuple[str, kinds.Kind, Any, Any, str], ...] = (
    ("interlink_account", kinds.text, "", "physics", "The Slurm account that jobs are charged to."),
    ("interlink_qos", kinds.text, "", "normal", "The quality of service of jobs."),
    ("interlink_constraint", kinds.text, "", "avx512", "The node features that jobs need."),
    ("interlink_reservation", kinds.text, "", "course", "The reservation that jobs run in."),
    (
        "interlink_time_limit",
        kinds.text,
        "",
        "1-00:00:00",
        "The time limit of a job, as sbatch takes it; a pod's activeDeadlineSeconds can only shorten it.",
    ),
    (
        "interlink_sbatch_flags",
        kinds.argv,
        (),
        "--exclude=node7 --mail-type=FAIL",
        "More options of sbatch for every job; a pod's annotation wins over them.",
    ),
    (
        "interlink_flavors",
        kinds.mapping,
        None,
        {"gpu": {"cpu": "4", "memory": "16Gi", "flags": "--partition=gpu"}},
        "Named sets of defaults, each with cpu, memory, flags; an annotation, GPUs or interlink_default_flavor choose.",
    ),
    ("interlink_default_flavor", kinds.text, "", "cpu", "The flavor of pods that name none."),
    (
        "interlink_default_cpu",
        kinds.quantity_text,
        "0",
        "500m",
        "The CPU of a container that states none; a job has one at least.",
    ),
    (
        "interlink_default_memory",
        kinds.quantity_text,
        "0",
        "1Gi",
        "The memory of a container that states none; 0 leaves it to Slurm where no container states any.",
    ),
    (
        "interlink_gres",
        kinds.mapping,
        None,
        {"nvidia.com/gpu": "gpu:a100"},
        "The generic resource of Slurm that a resource of Kubernetes stands for, beside the usual GPUs.",
    ),
    ("interlink_job_shell", kinds.absolute_path, "/bin/sh", "/bin/bash", "The shell that runs job scripts."),
    (
        "interlink_command_prefix",
        kinds.lines,
        "",
        "module load apptainer",
        "Shell commands that every job runs before its containers; their failure fails the pod.",
    ),
    (
        "interlink_pre_exec_namespaces",
        kinds.listing(kinds.text),
        (),
        ["trusted-team"],
        "Namespaces whose pods may bring shell commands in annotations, which run as the SSH user; * for all.",
    ),
    (
        "interlink_tsocks",
        kinds.boolean,
        False,
        True,
        "Whether containers reach the network through an SSH tunnel to a login node, by the library tsocks.",
    ),
    ("interlink_tsocks_path", kinds.absolute_path, "", "/usr/lib/x86_64-linux-gnu/libtsocks.so", "That library."),
    ("interlink_tsocks_login_node", kinds.text, "", "login1", "The login node as compute nodes reach it by ssh."),
    *(
        (f"interlink_{name}_path", kinds.text, "", f"/opt/slurm/bin/{name}", f"Slurm's {name}, if not in the PATH.")
        for name in ("sbatch", "squeue", "scancel", "scontrol", "sacct", "sstat", "sinfo")
    ),
    (
        "interlink_lost_seconds",
        kinds.seconds,
        3600.0,
        600,
        "How long a job may be unknown to Slurm, without having said its end, until its pod is Failed.",
    ),
)

# What the existing plugin's configuration calls them (SlurmConfig.yaml, wire.md 5.2).
ALIASES: Mapping[str, str] = {
    "SbatchPath": "interlink_sbatch_path",
    "ScancelPath": "interlink_scancel_path",
    "SqueuePath": "interlink_squeue_path",
    "SinfoPath": "interlink_sinfo_path",
    "BashPath": "interlink_job_shell",
    "CommandPrefix": "interlink_command_prefix",
    "Tsocks": "interlink_tsocks",
    "TsocksPath": "interlink_tsocks_path",
    "TsocksLoginNode": "interlink_tsocks_login_node",
    "ImagePrefix": "interlink_image_prefix",
    "ContainerRuntime": "interlink_runtime",
    "SingularityDefaultOptions": "interlink_runtime_options",
    "SingularityPath": "interlink_runtime_path",
    "DataRootFolder": "interlink_root",
    "Flavors": "interlink_flavors",
    "DefaultFlavor": "interlink_default_flavor",
}
