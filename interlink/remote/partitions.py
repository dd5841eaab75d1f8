"""Slurm's partitions from `sinfo -h -o '%P|%a|%l|%D|%C|%m|%G'`; pure.

The text format is read because the JSON changed its shape between versions of Slurm. There is a line for
each kind of node in a partition; they are summed up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_GPU = re.compile(r"gpu(?::[A-Za-z][\w.-]*)?:(\d+)")


def parse(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return name, default, up, nodes, cpus (all, idle), memory (bytes of the greatest node, of all), gpus, limit.

    >>> parse(["batch*|up|1-00:00:00|2|3/5/0/8|1000+|gpu:a100:4(S:0-1)", "batch*|up|1-00:00:00|1|4/0/0/4|500|(null)"])
    ... # doctest: +NORMALIZE_WHITESPACE
    [{'name': 'batch', 'default': True, 'up': True, 'time_limit': '1-00:00:00',
      'nodes': 3, 'cpus': 12, 'idle': 5, 'memory': 1048576000, 'total': 2621440000, 'gpus': 8}]
    """
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        words = line.split("|")
        cpus = words[4].split("/") if len(words) == 7 else []
        if len(cpus) != 4 or not all(n.isdecimal() for n in (*cpus, words[3])):
            continue
        name, state, limit, nodes = words[:4]
        row = found.setdefault(name, _empty(name, state, limit))
        row["nodes"] += int(nodes)
        row["cpus"] += int(cpus[3])
        row["idle"] += int(cpus[1])
        row["memory"] = max(row["memory"], _mebibytes(words[5]))
        row["total"] += int(nodes) * _mebibytes(words[5])
        row["gpus"] += int(nodes) * sum(int(count) for count in _GPU.findall(words[6]))
    return list(found.values())


def _empty(name: str, state: str, limit: str) -> dict[str, Any]:
    return {
        "name": name.removesuffix("*"),
        "default": name.endswith("*"),
        "up": state == "up",
        "time_limit": limit,
        **dict.fromkeys(("nodes", "cpus", "idle", "memory", "total", "gpus"), 0),
    }


def _mebibytes(text: str) -> int:
    number = text.rstrip("+")
    return int(number) << 20 if number.isdecimal() else 0
