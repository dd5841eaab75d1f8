"""What a machine as a whole has used: usage.sh prints it, `read` understands it; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import resources

from interlink.errors import OutcomeUnknown
from interlink.model.usage import HostUsage

_FINE = re.compile(r"\d+\.\d+")  # of `date +%s.%N`
_BUSY = (0, 1, 2, 5, 6, 7)  # of /proc/stat's cpu: user, nice, system, irq, softirq, steal; guest is within user


@dataclass(frozen=True)
class Machine:
    """Figures of /proc. `ticks` a second count CPU; `booted` is the host's own idea of it."""

    taken_at: datetime
    ticks: int
    booted: float
    cpu_seconds: float | None
    memory_bytes: int | None

    def usage(self) -> HostUsage:
        return HostUsage(self.taken_at, self.cpu_seconds, self.memory_bytes)


def script() -> str:
    """Return the shell function `il_usage`."""
    return resources.files(__package__).joinpath("usage.sh").read_text(encoding="utf-8")


def read(lines: Iterable[str]) -> Machine:
    """Read what `il_usage` printed, among other lines; OutcomeUnknown if the machine's clock is missing.

    The time is the clock's, as that of the starts of containers; where `date` knows no fractions of a second
    (busybox) it is boot plus uptime, which is fine enough for rates and less than a second behind.
    """
    words: dict[str, list[str]] = {}
    for line in lines:
        path, _, text = line.partition(":")
        if not path.startswith("/proc/"):
            path, text = "", line
        key, *rest = [path, *text.split()] if path == "/proc/uptime" else (text.split() or [""])
        words.setdefault(key, rest)
    try:
        booted, ticks = float(words["btime"][0]), int(words["H"][0])
        up = booted + float(words["/proc/uptime"][0])
        now = words["N"][0]
    except (KeyError, IndexError, ValueError) as error:
        raise OutcomeUnknown("the host's answer about its use is incomplete") from error
    taken_at = float(now) if _FINE.fullmatch(now) else up
    return Machine(
        datetime.fromtimestamp(taken_at, timezone.utc), ticks, booted, _cpu(words.get("cpu"), ticks), _memory(words)
    )


def _cpu(fields: list[str] | None, ticks: int) -> float | None:
    return sum(int(fields[n]) for n in _BUSY) / ticks if fields and len(fields) > max(_BUSY) else None


def _memory(words: dict[str, list[str]]) -> int | None:
    """Total less available: what the kernel could not give to somebody else."""
    total, available = words.get("MemTotal:"), words.get("MemAvailable:")
    return (int(total[0]) - int(available[0])) << 10 if total and available else None
