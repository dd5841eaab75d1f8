"""The host variables that interLink reads: one table of name, kind, default and meaning.

`config` checks an inventory against it, `Host.get` takes defaults from it, the documentation is made
from it. A variable of ours that is not in this table is a mistake, in an inventory as in the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interlink.model import kinds, slurmvariables

PREFIX = "interlink_"
SERVER_GROUP = "interlink_server"  # the group of the machines that run the server; no pods unless they say how
LOCAL_CONNECTIONS = ("local", "ansible.builtin.local")
SSH_CONNECTIONS = ("ssh", "smart", "ansible.builtin.ssh", "paramiko", "paramiko_ssh", "ansible.netcommon.paramiko")


@dataclass(frozen=True)
class Variable:
    """One host variable; `example` is what a user may write, `doc` one sentence for the documentation."""

    name: str
    kind: kinds.Kind
    default: Any
    example: Any
    doc: str


def _table(*rows: Variable) -> Mapping[str, Variable]:
    return {row.name: row for row in rows}


OURS = _table(
    Variable(
        "interlink_driver",
        kinds.choice("auto", "docker", "slurm", "shell", "mock"),
        "auto",
        "docker",
        "What runs pods on the host; auto takes the first that works of docker, podman and shell.",
    ),
    Variable(
        "interlink_engine",
        kinds.choice("docker", "podman"),
        "docker",
        "podman",
        "The container engine of the docker driver.",
    ),
    Variable(
        "interlink_runtime",
        kinds.choice("process", "apptainer", "singularity", "podman", "enroot"),
        "process",
        "apptainer",
        "What starts a container of the drivers shell and slurm; process means without any isolation.",
    ),
    Variable(
        "interlink_runtime_path",
        kinds.text,
        "",
        "/opt/apptainer/bin/apptainer",
        "The program of the runtime, where it is not found by its name.",
    ),
    Variable(
        "interlink_runtime_options",
        kinds.argv,
        (),
        "--nv --bind /cvmfs",
        "More arguments for every start of a container with that runtime.",
    ),
    Variable(
        "interlink_image_prefix",
        kinds.text,
        "",
        "/cvmfs/unpacked.cern.ch/registry.hub.docker.com/",
        "What stands before an image that is neither a path nor has a scheme, instead of docker://.",
    ),
    Variable(
        "interlink_image_cache",
        kinds.remote_directory,
        "",
        "/scratch/interlink-images",
        "Where converted images are kept; by default images in interlink_root.",
    ),
    Variable(
        "interlink_image_cache_size",
        kinds.size,
        50 << 30,
        "200Gi",
        "How much the converted images may take before those unused for longest are removed; 0 for no limit.",
    ),
    Variable(
        "interlink_root",
        kinds.remote_directory,
        "~/.interlink",
        "/scratch/interlink",
        "The directory on the host that holds everything of ours.",
    ),
    Variable(
        "interlink_node", kinds.node_name, "", "gpu-farm", "The virtual node that the hosts of this group make up."
    ),
    Variable(
        "interlink_cluster",
        kinds.text,
        "",
        "booster",
        "Hosts with the same value are login nodes of one Slurm cluster; any that answers serves it.",
    ),
    Variable("interlink_partition", kinds.text, "", "batch", "The Slurm partition for pods that do not name one."),
    Variable(
        "interlink_capacity",
        kinds.capacity,
        None,
        {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "2"},
        "What one host (or one interlink_cluster) offers, where that differs from what was found there.",
    ),
    Variable(
        "interlink_pods",
        kinds.integer(0),
        None,
        20,
        "The most pods at a time on one host; 110 by default, as in Kubernetes.",
    ),
    Variable(
        "interlink_labels",
        kinds.labels,
        None,
        {"example.org/site": "bonn"},
        "Labels of the host, for nodeSelector and affinity; those of a group are its virtual node's too.",
    ),
    Variable(
        "interlink_taints",
        kinds.taints,
        None,
        ["example.org/gpu=true:NoSchedule"],
        "Taints of the virtual node, each key=value:Effect or a mapping.",
    ),
    Variable(
        "interlink_placement",
        kinds.choice("spread", "pack"),
        "spread",
        "pack",
        "Whether pods go to the emptiest host that fits, or to the fullest.",
    ),
    Variable(
        "interlink_pause_image",
        kinds.text,
        "registry.k8s.io/pause:3.10",
        "registry.example.org/pause:3.10",
        "The image of the container that holds a pod's namespaces.",
    ),
    Variable(
        "interlink_smoke_image",
        kinds.text,
        "busybox:1.36",
        "registry.example.org/busybox:1.36",
        "The image of the short pod by which a deployment sees whether the host runs pods; it needs a shell.",
    ),
    Variable(
        "interlink_hostpath_allow",
        kinds.listing(kinds.absolute_path),
        (),
        ["/data", "/scratch"],
        "Directories below which hostPath volumes are allowed; none by default.",
    ),
    Variable(
        "interlink_allow",
        kinds.listing(kinds.choice("privileged", "hostNetwork", "hostPID", "hostIPC")),
        (),
        ["hostNetwork"],
        "Powers over the host that pods may ask for: privileged, hostNetwork, hostPID, hostIPC; none by default.",
    ),
    Variable(
        "interlink_ignore",
        kinds.listing(kinds.text),
        (),
        ["spec.priorityClassName"],
        "Paths of pod fields to ignore where the driver cannot honour them, instead of refusing the pod.",
    ),
    Variable(
        "interlink_dns",
        kinds.listing(kinds.address),
        (),
        ["10.96.0.10"],
        "DNS servers for pods with dnsPolicy ClusterFirst.",
    ),
    Variable(
        "interlink_keep_seconds",
        kinds.integer(0),
        3600,
        600,
        "How long status and logs of a deleted pod stay readable, in seconds.",
    ),
    Variable(
        "interlink_keep_log_bytes",
        kinds.size,
        10 << 20,
        "10Mi",
        "How much of the end of each container's log is kept after a delete.",
    ),
    Variable(
        "interlink_poll_seconds",
        kinds.seconds,
        30.0,
        60,
        "How often an idle Slurm cluster is asked for its queue, in seconds.",
    ),
    Variable(
        "interlink_poll_min_seconds",
        kinds.seconds,
        10.0,
        15,
        "How often a Slurm cluster is asked at most, also while a change is expected, in seconds.",
    ),
    Variable(
        "interlink_credential_command",
        kinds.argv,
        None,
        ["refresh-certificate", "--days", "1"],
        "A command on the server that renews a short-lived key or certificate before it expires.",
    ),
    Variable(
        "interlink_connects_per_minute",
        kinds.integer(1),
        30,
        6,
        "The most SSH connections that are opened to the host in a minute.",
    ),
    Variable(
        "interlink_sessions", kinds.integer(2), 10, 4, "MaxSessions of the host's sshd: channels on the one connection."
    ),
    Variable(
        "interlink_known_hosts",
        kinds.text,
        "",
        "/etc/interlink/known_hosts",
        "The file with the host's pinned key, instead of known_hosts in the state directory and ~/.ssh.",
    ),
    Variable(
        "interlink_server_python",
        kinds.text,
        "python3",
        "/usr/bin/python3.12",
        "The Python (3.10 or newer) on a machine of the group interlink_server.",
    ),
    Variable(
        "interlink_server_directory",
        kinds.remote_directory,
        "",
        "/srv/interlink",
        "Where the server is installed; /opt/interlink for root, ~/.interlink-server for others by default.",
    ),
    Variable(
        "interlink_server_manager",
        kinds.choice("auto", "system", "user", "pidfile"),
        "auto",
        "user",
        "What runs the server: systemd as root, systemd --user, or a pid file where there is no systemd.",
    ),
    Variable(
        "interlink_server_listen",
        kinds.text,
        "127.0.0.1:3000",
        "0.0.0.0:3000",
        "Where the server listens: HOST:PORT or unix:///PATH.",
    ),
    Variable(
        "interlink_server_ledger",
        kinds.text,
        "",
        "postgresql://interlink@db.example.org/interlink",
        "The database URL of the server's ledger; an SQLite file of its own by default.",
    ),
    Variable(
        "interlink_kubelet",
        kinds.choice("none", "beside", "cluster"),
        "none",
        "beside",
        "Where the virtual kubelet is deployed: beside the server with a kubeconfig, or in the cluster by kustomize.",
    ),
    Variable(
        "interlink_kubelet_address",
        kinds.address,
        "",
        "192.0.2.20",
        "The address at which the API server reaches the virtual kubelet beside the server; found out by default.",
    ),
    Variable(
        "interlink_kubelet_port",
        kinds.integer(1, 65535),
        10250,
        20250,
        "The first port of the virtual kubelet's API beside the server.",
    ),
    Variable(
        "interlink_kubeconfig",
        kinds.text,
        "",
        "~/.kube/config",
        "The kubeconfig, on the machine that deploys, of the cluster that the nodes belong to.",
    ),
    Variable(
        "interlink_kustomization",
        kinds.text,
        "deploy/kustomizations",
        "/srv/site/kustomizations",
        "The directory, on the machine that deploys, that describes the virtual kubelet for the cluster.",
    ),
    *(Variable(*row) for row in slurmvariables.ROWS),
)

ANSIBLES = _table(
    Variable(
        "ansible_connection",
        kinds.choice(*SSH_CONNECTIONS, *LOCAL_CONNECTIONS),
        "ssh",
        "local",
        "ssh, or local for this machine.",
    ),
    Variable("ansible_host", kinds.text, "", "192.0.2.10", "The address to connect to; the host's name by default."),
    Variable(
        "ansible_port",
        kinds.integer(1, 65535),
        None,
        2222,
        "The port of sshd; as in ~/.ssh/config by default, else 22.",
    ),
    Variable("ansible_user", kinds.text, None, "alice", "The user to log in as; as in ~/.ssh/config by default."),
    Variable("ansible_ssh_private_key_file", kinds.text, None, "~/.ssh/id_ed25519", "The private key to log in with."),
    Variable(
        "ansible_ssh_args",
        kinds.ssh_arguments,
        None,
        "-o ConnectTimeout=5",
        "Arguments of ssh, in place of the usual ones.",
    ),
    Variable(
        "ansible_ssh_common_args",
        kinds.ssh_arguments,
        None,
        "-J alice@gateway.example.org",
        "Arguments of ssh, such as a ProxyJump.",
    ),
    Variable("ansible_ssh_extra_args", kinds.ssh_arguments, None, "-o Compression=yes", "More arguments of ssh."),
)

# Older spellings that Ansible still reads; where both are given, the newer one counts.
ALIASES: Mapping[str, str] = {
    "ansible_ssh_host": "ansible_host",
    "ansible_ssh_port": "ansible_port",
    "ansible_ssh_user": "ansible_user",
    "ansible_private_key_file": "ansible_ssh_private_key_file",
    **slurmvariables.ALIASES,
}

ALL: Mapping[str, Variable] = {**ANSIBLES, **OURS}


def default(name: str) -> Any:
    """Return a variable's default; None for one that is not in the table."""
    return ALL[name].default if name in ALL else None
