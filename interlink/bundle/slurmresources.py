"""What a pod's containers ask for, as options of sbatch. Pure.

A container counts with its limit, else its request, else the default. A pod needs the sum over its mains and
native sidecars, or what an init needs beside the sidecars before it, whichever is more (Kubernetes' own rule).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction

from interlink.bundle.slurmflags import Options
from interlink.bundle.slurmsite import Flavor, SlurmSite
from interlink.model import quantity
from interlink.model.pod import Container, Pod
from interlink.model.status import Kind

Amount = Callable[[Container], Fraction]


def options(pod: Pod, site: SlurmSite, flavor: Flavor) -> Options:
    """Return the options for CPU, memory and generic resources; nothing for what nobody stated."""
    found: dict[str, str | None] = {"nodes": "1", "ntasks": "1"}
    cpu = total(pod, _amount("cpu", quantity.parse(flavor.cpu) or quantity.parse(site.cpu)))
    memory = total(pod, _amount("memory", quantity.parse(flavor.memory) or quantity.parse(site.memory)))
    memory += _in_memory(pod)
    found["cpus-per-task"] = str(max(math.ceil(cpu), 1))
    if memory:
        found["mem"] = f"{max(math.ceil(memory / (1 << 20)), 1)}M"  # 0 would be the whole node
    wanted = gres(pod, site)
    if wanted:
        found["gres"] = ",".join(f"{name}:{count}" for name, count in wanted.items())
    return found


def gres(pod: Pod, site: SlurmSite) -> dict[str, int]:
    """Return how many of each generic resource the pod needs."""
    names = {name for container in pod.containers for name in (*container.limits, *container.requests)}
    counts: Counter[str] = Counter()
    for name in sorted(names):
        kind = site.gres_of(name)
        if kind is not None:
            counts[kind] += math.ceil(total(pod, _amount(name, Fraction(0))))
    return {name: count for name, count in counts.items() if count}


def total(pod: Pod, amount: Amount) -> Fraction:
    """Return the pod's need from those of its containers."""
    before, most = Fraction(0), Fraction(0)
    for container in pod.containers:
        if container.kind is Kind.SIDECAR:
            before += amount(container)
        elif container.kind is Kind.INIT:
            most = max(most, before + amount(container))
    mains = (amount(container) for container in pod.containers if container.kind is Kind.MAIN)
    return max(most, before + _sum(mains))


def _amount(name: str, default: Fraction) -> Amount:
    def of(container: Container) -> Fraction:
        stated = container.limits.get(name, container.requests.get(name))
        return default if stated is None else quantity.parse(stated)

    return of


def _in_memory(pod: Pod) -> Fraction:
    """Return the sizes of the volumes that lie in memory: their pages are the job's."""
    volumes = [volume.get("emptyDir") or {} for volume in pod.volumes]
    return _sum(quantity.parse(v["sizeLimit"]) for v in volumes if v.get("medium") == "Memory" and v.get("sizeLimit"))


def _sum(amounts: Iterable[Fraction]) -> Fraction:
    return sum(amounts, Fraction(0))
