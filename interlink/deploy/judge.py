"""Whether a host has what its driver needs, told from its facts; each complaint names its cure. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from interlink.model.driver import HostFacts
from interlink.model.host import Host

_NEEDED = {  # program: what lacks it, and the Debian package to name
    "docker": {"tar": "tar", "setsid": "util-linux", "flock": "util-linux"},
    "shell": {"tar": "tar", "setsid": "util-linux"},
    "slurm": {"tar": "tar"},
}
LEAST_FREE = 256 << 20  # bytes on the file system of the root directory
MOST_SKEW = 60  # seconds by which the clocks may differ
_SOON_DAYS = 1


def complaints(host: Host, driver: str, facts: HostFacts, now: datetime) -> Iterator[str]:
    """Yield what is missing, each with what an admin of the host, or the user, has to do."""
    yield from _programs(driver, facts.raw.get("tools", ()))
    yield from _disk(facts.raw.get("disk", {}))
    if abs(skew := facts.raw.get("clock_skew") or 0) > MOST_SKEW:
        yield f"its clock is {skew:+d} s off ours: run an NTP client there (and here)"
    if ends := facts.raw.get("certificate_expires"):
        left = datetime.fromisoformat(ends) - now
        if left.total_seconds() < 0:
            yield f"our SSH certificate ended at {ends}: renew it, or set interlink_credential_command"


def warnings(facts: HostFacts, now: datetime) -> Iterator[str]:
    """Yield what works now and will not for long."""
    if ends := facts.raw.get("certificate_expires"):
        left = datetime.fromisoformat(ends) - now
        if 0 <= left.days < _SOON_DAYS:
            yield f"our SSH certificate ends at {ends}"


def engine(host: Host, facts: HostFacts) -> str:
    """Return why the docker driver cannot use its engine, with the cure; "" if it can."""
    if facts.engine:
        return ""
    name = str(host.get("interlink_engine"))
    state: Mapping[str, str] = facts.raw.get("engines", {}).get(name, {})
    error = state.get("error", "does not answer")
    cure = state.get("cure") or ("install docker or podman there, or set interlink_driver: shell")
    return f"{name} does not work: {error}; {cure}"


def runtime(host: Host, driver: str, facts: HostFacts) -> tuple[str, str]:
    """Return a note on what starts containers without an engine, and a complaint; one of them is ""."""
    name = str(host.get("interlink_runtime"))
    if name == "process":
        return "process: no isolation between pods and the account", ""
    if name in facts.raw.get("tools", ()):
        return name, ""
    if driver == "slurm":  # only the compute nodes need it; the smoke pod tells
        return f"{name} is not on the PATH of this login node; the compute nodes need it", ""
    return "", (
        f"{name} is not installed: install it there (Debian: apt-get install {name}), load its module in the"
        " account's profile, or set another interlink_runtime"
    )


def partition(host: Host, facts: HostFacts) -> tuple[str, str]:
    """Return a note on the Slurm partition that pods go to, and a complaint; one of them is ""."""
    slurm = facts.raw.get("slurm", {})
    if not slurm:
        return "", "Slurm's sinfo is not on the PATH: log in to a login node of the cluster, or load its module"
    if "error" in slurm:
        return "", f"Slurm does not answer: {slurm['error']}; ask the site, or try another login node"
    rows = {row["name"]: row for row in slurm.get("partitions", ())}
    wanted = str(host.get("interlink_partition") or "")
    row = rows.get(wanted) if wanted else next((r for r in rows.values() if r["default"]), None)
    known = ", ".join(rows) or "none"
    if row is None and wanted:
        return "", f"there is no partition {wanted!r}: set interlink_partition to one of {known}"
    if row is None:
        return "", f"Slurm has no default partition: set interlink_partition to one of {known}"
    if not row["up"]:
        return "", f"the partition {row['name']!r} is down: wait, or set interlink_partition to one of {known}"
    return _limits(slurm, row), ""


def summary(facts: HostFacts) -> str:
    """Return a host's facts in a few words."""
    memory = f"{facts.memory / (1 << 30):.1f} GiB" if facts.memory else ""
    gpus = ", ".join(f"{n} x {name}" for name, n in facts.gpus.items())
    slurm = facts.raw.get("slurm", {}).get("version", "")
    words = (
        f"{facts.cpus:g} CPUs" if facts.cpus else "",
        memory,
        gpus,
        f"{facts.engine} {facts.engine_version}".strip(),
        f"Slurm {slurm}" if slurm else "",
        facts.raw.get("os", ""),
    )
    return ", ".join(filter(None, words))


def _programs(driver: str, there: Any) -> Iterator[str]:
    absent = {name: package for name, package in _NEEDED.get(driver, {}).items() if name not in there}
    if absent:
        packages = " ".join(sorted(set(absent.values())))
        yield f"there is no {', '.join(absent)}: have an admin install them (Debian: apt-get install {packages})"


def _disk(disk: Mapping[str, Any]) -> Iterator[str]:
    if disk and disk["free"] < LEAST_FREE:
        yield (
            f"only {disk['free'] >> 20} MiB are free on {disk['mount']}, where {disk['path']} is:"
            " free some, or set interlink_root to a directory elsewhere"
        )


def _limits(slurm: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    return (
        f"Slurm {slurm.get('version', '?')}, partition {row['name']}: {row['nodes']} nodes, {row['cpus']} CPUs,"
        f" time limit {row['time_limit']}"
    )
