"""What stats.sh printed, understood; pure."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace

from interlink.bundle.docker import PAUSE
from interlink.drivers.docker import inspect
from interlink.errors import OutcomeUnknown
from interlink.model.usage import ContainerUsage, HostUsage
from interlink.remote import usage

Files = dict[str, dict[str, int]]  # path -> name of a figure ("" where a file holds but one) -> figure


def parse(output: str) -> HostUsage:
    """Read the output of `il_stats`; OutcomeUnknown if its end is missing."""
    lines = output.splitlines()
    if not lines or lines[-1] != "E":
        raise OutcomeUnknown("the host's answer about its use is incomplete")
    files = _files(lines)
    pods: dict[str, list[ContainerUsage]] = defaultdict(list)
    for line in lines:
        tag, *fields = line.split(" ")
        if tag == "U" and len(fields) == 5 and fields[1] != PAUSE:
            uid, name, began, cpu, memory = fields
            started_at = inspect.time(json.loads(began))
            pods[uid].append(ContainerUsage(name, _cpu(files, cpu), _memory(files, memory), started_at))
    machine = usage.read(lines).usage()
    return replace(machine, pods={uid: tuple(containers) for uid, containers in pods.items()})


def _files(lines: list[str]) -> Files:
    files: Files = defaultdict(dict)
    for line in lines:
        path, _, text = line.rpartition(":")
        name, _, figure = text.rpartition(" ")
        if path.startswith("/sys/fs/cgroup/") and figure.isdigit():
            files[path][name] = int(figure)
    return files


def _cpu(files: Files, path: str) -> float | None:
    """Seconds: v1 counts nanoseconds, v2 microseconds."""
    found = files.get(path, {})
    if "" in found:
        return found[""] / 1e9
    return found["usage_usec"] / 1e6 if "usage_usec" in found else None


def _memory(files: Files, directory: str) -> int | None:
    """The working set, as cAdvisor has it: usage without the file pages that nobody has touched of late."""
    used = {**files.get(f"{directory}/memory.current", {}), **files.get(f"{directory}/memory.usage_in_bytes", {})}
    idle = files.get(f"{directory}/memory.stat", {})
    if "" not in used:
        return None
    return max(used[""] - idle.get("total_inactive_file", idle.get("inactive_file", 0)), 0)
