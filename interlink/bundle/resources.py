"""CPU, memory and devices of a container, as flags of docker and podman.

The numbers are the kubelet's (`MilliCPUToQuota`, `MilliCPUToShares`): a period of 100 ms, a quota of at
least 1 ms, shares of 1024 a core between 2 and 262144.
"""

from __future__ import annotations

from interlink.bundle.text import HostValue, Text, text, texts
from interlink.errors import Unsupported
from interlink.model import quantity
from interlink.model.pod import Container

PERIOD = 100_000  # microseconds
MEMORY_MIN = 6 << 20  # bytes; the engine refuses less

GPUS_MAX = 256  # each becomes a flag: a number out of the blue must not fill the memory

NVIDIA = "nvidia.com/gpu"
AMD = "amd.com/gpu"
_MIG = "nvidia.com/mig-"


def flags(container: Container, *, engine: str, nvidia: bool) -> tuple[Text, ...]:
    """Return the flags for all of it; `nvidia` says that the host has such devices, to be hidden if not asked for.

    Raises Unsupported for less memory than an engine can limit to.
    """
    return (*texts(*_cpu(container), *_memory(container)), *_devices(container, engine, nvidia=nvidia))


def gpu_count(container: Container) -> int:
    """Return how many devices the container asks for, of whatever kind; Unsupported beyond any machine's."""
    asked = {name: quantity.parse(value) for name, value in container.limits.items() if is_gpu(name)}
    for name, count in asked.items():
        if count > GPUS_MAX:
            field = f"{container.path}.resources.limits.{name}"
            raise Unsupported(f"no host has more than {GPUS_MAX} devices", field=field)
    return int(sum(asked.values()))


def is_gpu(resource: str) -> bool:
    """Say whether a resource's name stands for a device that we know to hand over."""
    return resource in (NVIDIA, AMD) or resource.startswith(_MIG)


def device(index: int) -> HostValue:
    """Return the host's variable for the container's n-th device: a UUID, or a device node for AMD."""
    return HostValue(f"IL_GPU_{index}")


def _cpu(container: Container) -> list[str]:
    limit = quantity.millicores(container.limits.get("cpu") or 0)
    request = quantity.millicores(container.requests.get("cpu") or 0)
    words = ["--cpu-shares", str(min(max(request * 1024 // 1000, 2), 262144))]
    if limit:
        words += ["--cpu-period", str(PERIOD), "--cpu-quota", str(max(limit * PERIOD // 1000, 1000))]
    return words


def _memory(container: Container) -> list[str]:
    limit = quantity.to_bytes(container.limits.get("memory") or 0)
    if not limit:
        return []
    if limit < MEMORY_MIN:
        field = f"{container.path}.resources.limits.memory"
        raise Unsupported("the engine cannot limit a container to less than 6 MiB", field=field)
    return ["--memory", str(limit), "--memory-swap", str(limit)]


def _devices(container: Container, engine: str, *, nvidia: bool) -> tuple[Text, ...]:
    count = gpu_count(container)
    if not count:
        return texts("--env", "NVIDIA_VISIBLE_DEVICES=void") if nvidia else ()
    chosen = [device(index) for index in range(count)]
    if AMD in container.limits:
        nodes = (word for item in chosen for word in (text("--device"), text(item)))
        return (*texts("--device", "/dev/kfd"), *nodes)
    if engine == "podman":
        return tuple(word for item in chosen for word in (text("--device"), text("nvidia.com/gpu=", item)))
    listed = [part for item in chosen for part in (",", item)][1:]
    return (text("--gpus"), text('"device=', *listed, '"'))
