"""Options of sbatch as users write them: read, held against a list of what is allowed, merged without doubles.

An option is kept by its long name with its value, `None` for one that has none. What is not on the list is
refused by name: it could move our output, hide the job from us, or run it as somebody else. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

Options = Mapping[str, str | None]

_SHORT = {
    "p": "partition", "A": "account", "q": "qos", "C": "constraint", "t": "time", "N": "nodes", "n": "ntasks",
    "c": "cpus-per-task", "G": "gpus", "L": "licenses", "w": "nodelist", "x": "exclude", "b": "begin",
    "d": "dependency", "m": "distribution", "s": "oversubscribe", "H": "hold", "k": "no-kill",
    "J": "job-name", "o": "output", "e": "error", "i": "input", "a": "array", "D": "chdir", "M": "clusters",
    "W": "wait", "I": "immediate", "Q": "quiet", "v": "verbose", "V": "version", "h": "help", "u": "usage",
}  # fmt: skip
# fmt: off
_VALUED = frozenset((
    "partition", "account", "qos", "constraint", "prefer", "reservation", "time", "time-min", "nodes", "ntasks",
    "ntasks-per-node", "ntasks-per-core", "ntasks-per-socket", "ntasks-per-gpu", "cpus-per-task",
    "cpus-per-gpu", "mem", "mem-per-cpu", "mem-per-gpu", "mem-bind", "gres", "gres-flags", "gpus",
    "gpus-per-node", "gpus-per-task", "gpus-per-socket", "gpu-bind", "gpu-freq", "cpu-freq", "licenses",
    "nodelist", "exclude", "begin", "deadline", "dependency", "distribution", "hint", "threads-per-core",
    "cores-per-socket", "sockets-per-node", "core-spec", "thread-spec", "extra-node-info", "mincpus", "tmp",
    "switches", "nice", "priority", "mail-type", "mail-user", "wckey", "network", "profile", "acctg-freq",
    "cluster-constraint", "bb", "delay-boot", "power",
))
# fmt: on
_BARE = frozenset(["oversubscribe", "overcommit", "hold", "no-kill", "contiguous", "spread-job", "use-min-nodes"])
_EITHER = frozenset(["exclusive", "nice"])
_OURS = {  # why these are nobody else's
    "job-name": "the job's name is the pod's UID, by which it is found again",
    "comment": "the comment names the server that the job belongs to",
    **dict.fromkeys(("output", "error", "input", "open-mode"), "the containers' output is in their logs"),
    **dict.fromkeys(("export", "export-file", "get-user-env"), "the job's environment is the pod's"),
    **dict.fromkeys(("parsable", "quiet", "verbose"), "sbatch's answer is read by interLink"),
    **dict.fromkeys(("wrap", "chdir"), "the job runs the pod's own script"),
    "array": "a pod is one job",
    **dict.fromkeys(("requeue", "no-requeue"), "Kubernetes decides whether a pod is run again"),
    "signal": "interLink asks for the signal that the pod's grace period needs",
    **dict.fromkeys(("uid", "gid"), "the job runs as the user of the SSH connection"),
    "clusters": "write another host with its own interlink_cluster",
}
# An option takes the place of all others of its set.
_RIVALS = (
    frozenset(("mem", "mem-per-cpu", "mem-per-gpu")),
    frozenset(("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")),
)
_CONTROL = re.compile(r"[\0-\x1f\x7f]")


def parse(flags: str | Iterable[str] | None, where: str) -> dict[str, str | None]:
    """Read options from one line, split as a shell splits it, or from a list; ValueError names a bad one.

    >>> parse("--time=10 -p batch --exclusive", "flags")
    {'time': '10', 'partition': 'batch', 'exclusive': None}
    """
    try:
        words = [word for line in ([flags] if isinstance(flags, str) else flags or ()) for word in shlex.split(line)]
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    found: dict[str, str | None] = {}
    rest = iter(words)
    for item in rest:
        name, value = _option(item, where)
        if value is None and name not in _BARE | _EITHER:
            value = next(rest, None)
        _check(name, value, item, where)
        found = merge(found, {name: value})
    return found


def merge(*layers: Options) -> dict[str, str | None]:
    """Return the options of all layers; a later one wins, also over its rivals of other names.

    >>> merge({"mem": "1G", "time": "5"}, {"mem-per-cpu": "2G"})
    {'time': '5', 'mem-per-cpu': '2G'}
    """
    merged: dict[str, str | None] = {}
    for layer in layers:
        rivals = {other for name in layer for group in _RIVALS if name in group for other in group}
        merged = {name: value for name, value in merged.items() if name not in rivals | layer.keys()} | dict(layer)
    return merged


def arguments(options: Options) -> list[str]:
    """Return options as arguments of sbatch."""
    return [f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()]


def _option(item: str, where: str) -> tuple[str, str | None]:
    """Return name and value as far as they stand in one word."""
    if item.startswith("--") and len(item) > 2:
        name, equals, value = item[2:].partition("=")
        return name, value if equals else None
    if not item.startswith("-") or len(item) < 2:
        raise ValueError(f"{where}: {item!r} is no option of sbatch; write --name=value")
    name = _SHORT.get(item[1], item[:2])
    value = item[2:].removeprefix("=")
    return name, value or None


def _check(name: str, value: str | None, item: str, where: str) -> None:
    if name in _OURS:
        raise ValueError(f"{where}: --{name} cannot be set here: {_OURS[name]}")
    if name not in _VALUED | _BARE | _EITHER:
        raise ValueError(f"{where}: {item!r} is not an option that a pod may set")
    if name in _BARE and value is not None:
        raise ValueError(f"{where}: --{name} takes no value")
    if name in _VALUED - _EITHER and not value:
        raise ValueError(f"{where}: --{name} needs a value")
    if value is not None and _CONTROL.search(value):
        raise ValueError(f"{where}: the value of --{name} holds a control character")
