"""The texts that configure Slurm; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.network import Namespace

NODES = ("n1", "n2", "n3")
LOGINS = ("login1", "login2")
CONTROLLER = "ctl"
COMPUTERS = (CONTROLLER, *NODES, *LOGINS)
GPU_NODES = NODES[:2]
GPUS = 2  # of each of them


@dataclass(frozen=True)
class Settings:
    """What one cluster is like; what its nodes have is believed, not enforced."""

    cpus: int = 64
    memory: int = 16000  # MiB a node
    min_job_age: int = 300  # seconds that squeue shows a finished job; Slurm's default
    kill_wait: int = 5  # seconds between TERM and KILL at a time limit
    slurmd_timeout: int = 10  # seconds until a silent node is down
    scheduler: str = "sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0,default_queue_depth=2000"
    extra: tuple[str, ...] = ()  # more lines of slurm.conf


def slurm_conf(
    directory: Path, computers: Mapping[str, Namespace], munge_socket: Path, settings: Settings, *, cgroups: bool
) -> str:
    """Return slurm.conf. cred_expire is also the delay before a requeued job may start.

    A computer's name is its namespace's, which no other cluster of the machine has: Slurm's cgroups are
    named after nodes, and two nodes of one name would kill each other's jobs.
    """
    kind = (
        "ProctrackType=proctrack/cgroup\nTaskPlugin=task/cgroup\n"
        "JobAcctGatherType=jobacct_gather/cgroup\nJobAcctGatherFrequency=task=1"
        if cgroups
        else "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n"
        "JobAcctGatherType=jobacct_gather/linux\nJobAcctGatherFrequency=task=1"
    )
    size = f"CPUs={settings.cpus} RealMemory={settings.memory}"
    nodes = [
        f"NodeName={computers[name].name} NodeAddr={computers[name].address} {size}"
        + (f" Gres=gpu:tesla:{GPUS}" if name in GPU_NODES else "")
        for name in NODES
    ]
    extra = "\n".join(settings.extra)
    return f"""ClusterName=lab
SlurmctldHost={computers[CONTROLLER].name}({computers[CONTROLLER].address})
AuthType=auth/munge
AuthInfo=socket={munge_socket},cred_expire=15
CredType=cred/munge
SlurmUser=root
SlurmctldPidFile={directory}/slurmctld.own
SlurmdPidFile={directory}/slurmd-%n.own
SlurmdSpoolDir={directory}/spool/%n
StateSaveLocation={directory}/state
SlurmdParameters=config_overrides
{kind}
JobCompType=jobcomp/filetxt
JobCompLoc={directory}/jobcomp.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=64
ReturnToService=1
SlurmdTimeout={settings.slurmd_timeout}
KillWait={settings.kill_wait}
MinJobAge={settings.min_job_age}
SchedulerParameters={settings.scheduler}
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
GresTypes=gpu
MpiDefault=none
DebugFlags=NO_CONF_HASH
{extra}
{chr(10).join(nodes)}
PartitionName=DEFAULT Nodes=ALL MaxTime=INFINITE PreemptMode=OFF PriorityTier=10
PartitionName=main Default=YES
PartitionName=short MaxTime=1
PartitionName=low PriorityTier=1 PreemptMode=CANCEL
PartitionName=lowrequeue PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high PriorityTier=20
"""


def gres_conf(directory: Path, computers: Mapping[str, Namespace]) -> str:
    """Return gres.conf: the devices do nothing."""
    files = f"{directory}/gpu[0-{GPUS - 1}]"
    return "".join(
        f"NodeName={computers[name].name} Name=gpu Type=tesla Flags=nvidia_gpu_env File={files}\n" for name in GPU_NODES
    )


CGROUP_CONF = """CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
ConstrainCores=no
"""
