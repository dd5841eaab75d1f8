"""What a Slurm job depends on beside the pod: the host's variables, and the flavor that is chosen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from interlink.bundle import slurmflags
from interlink.bundle.slurmflags import Options
from interlink.model.host import Host

MIG = "nvidia.com/mig-"
GPUS: Mapping[str, str] = MappingProxyType(
    {"nvidia.com/gpu": "gpu", "amd.com/gpu": "gpu", "intel.com/gpu": "gpu"},
)


@dataclass(frozen=True)
class Programs:
    """Slurm's commands, as the login node finds them."""

    sbatch: str = "sbatch"
    squeue: str = "squeue"
    scancel: str = "scancel"
    scontrol: str = "scontrol"
    sacct: str = "sacct"
    sstat: str = "sstat"
    sinfo: str = "sinfo"


@dataclass(frozen=True)
class Tsocks:
    """How a compute node without a way out reaches the network: a library, and the login node to tunnel through."""

    library: str
    login: str


@dataclass(frozen=True)
class Flavor:
    """A named set of defaults; quantities are Kubernetes'."""

    cpu: str = "0"
    memory: str = "0"
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class SlurmSite:
    """What the inventory says of a cluster. `options` are its defaults for every job, already checked."""

    programs: Programs = field(default_factory=Programs)
    options: Options = field(default_factory=dict)
    flavors: Mapping[str, Flavor] = field(default_factory=dict)
    default_flavor: str = ""
    cpu: str = "0"  # of a container that states none
    memory: str = "0"
    gres: Mapping[str, str] = field(default_factory=lambda: GPUS)  # resource name -> gres
    shell: str = "/bin/sh"
    command_prefix: str = ""
    pre_exec: tuple[str, ...] = ()  # namespaces whose pods may bring shell text of their own
    tsocks: Tsocks | None = None
    images: bool = False  # containers have a root of their own, into which a library has to be bound

    @classmethod
    def of(cls, host: Host) -> SlurmSite:
        """Return what the host's variables say; ValueError names a wrong one."""
        flavors = {str(name): _flavor(str(name), raw) for name, raw in (host.get("interlink_flavors") or {}).items()}
        default = str(host.get("interlink_default_flavor"))
        if default and default not in flavors:
            known = ", ".join(flavors) or "none"
            raise ValueError(f"interlink_default_flavor: there is no flavor {default!r}; known are {known}")
        return cls(
            programs=Programs(**{name: _program(host, name) for name in Programs.__dataclass_fields__}),
            options=_options(host),
            flavors=flavors,
            default_flavor=default,
            cpu=str(host.get("interlink_default_cpu")),
            memory=str(host.get("interlink_default_memory")),
            gres={**GPUS, **(host.get("interlink_gres") or {})},
            shell=str(host.get("interlink_job_shell")),
            command_prefix=str(host.get("interlink_command_prefix")),
            pre_exec=tuple(host.get("interlink_pre_exec_namespaces")),
            tsocks=_tsocks(host),
            images=host.get("interlink_runtime") != "process",
        )

    def gres_of(self, resource: str) -> str | None:
        """Return the generic resource of Slurm that a resource of Kubernetes stands for; None for others."""
        if resource in self.gres:
            return self.gres[resource]
        return f"gpu:{resource.removeprefix(MIG)}" if resource.startswith(MIG) else None


def _program(host: Host, name: str) -> str:
    return str(host.get(f"interlink_{name}_path") or name)


def _options(host: Host) -> Options:
    """Return the cluster's defaults: single variables win over interlink_sbatch_flags."""
    stated = slurmflags.parse(host.get("interlink_sbatch_flags"), "interlink_sbatch_flags")
    names = ("partition", "account", "qos", "constraint", "reservation")
    single = {name: str(host.get(f"interlink_{name}")) for name in names if host.get(f"interlink_{name}")}
    limit = host.get("interlink_time_limit")
    return slurmflags.merge(stated, single, {"time": str(limit)} if limit else {})


def _flavor(name: str, raw: Mapping[str, Any]) -> Flavor:
    """Read a flavor; the keys of the existing plugin's configuration are understood too."""
    where = f"interlink_flavors.{name}"
    known = {"cpu": "CPUDefault", "memory": "MemoryDefault", "flags": "SlurmFlags"}
    silent = {"description", "Description", "Name", "name"}
    extra = sorted(set(raw) - set(known) - set(known.values()) - silent)
    if extra:
        raise ValueError(f"{where}: {extra[0]!r} is not one of cpu, memory, flags, description")
    cpu, memory, flags = (raw.get(new, raw.get(old)) for new, old in known.items())
    return Flavor(str(cpu or 0), str(memory or 0), slurmflags.parse(flags or (), f"{where}.flags"))


def _tsocks(host: Host) -> Tsocks | None:
    if not host.get("interlink_tsocks"):
        return None
    library, login = str(host.get("interlink_tsocks_path")), str(host.get("interlink_tsocks_login_node"))
    if not library or not login:
        raise ValueError("interlink_tsocks needs interlink_tsocks_path and interlink_tsocks_login_node")
    return Tsocks(library, login)
