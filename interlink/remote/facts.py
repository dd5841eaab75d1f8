"""What a host is and has, gathered in one round trip: `facts.sh` asks, `parse` reads the answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib import resources
from typing import Any

from interlink.errors import CommandFailed
from interlink.model.driver import HostFacts
from interlink.model.host import Host
from interlink.model.login import Login
from interlink.remote import credentials, partitions, shell
from interlink.remote.connection import Connection
from interlink.remote.route import Route

PATIENCE = 10  # seconds for each program that is asked
TIMEOUT = 120.0  # seconds for all of them; more than PATIENCE times their number

Lines = Mapping[str, list[str]]

_ARCHITECTURES = {  # uname -m to GOARCH, which is how Kubernetes names them
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "i386": "386",
    "loongarch64": "loong64",
}
_ENGINES = ("docker", "podman")
_CURES = {
    "permission denied": "add the user to the group docker, or use podman",
    "Cannot connect to the Docker daemon": "start it: systemctl enable --now docker",
    "Is the docker daemon running": "start it: systemctl enable --now docker",
    "no answer within": "the daemon hangs: look at its log, then restart it",
}


def gather(host: Host, connection: Connection, *, timeout: float = TIMEOUT) -> HostFacts:
    """Ask a host, in one remote command; raises what `Connection.run` raises, and CommandFailed."""
    sent = datetime.now(timezone.utc)
    result = connection.run(script(host), timeout=timeout)
    received = datetime.now(timezone.utc)
    if result.code or "\tcomplete\tyes" not in result.text:
        raise CommandFailed(
            f"host {host.name}: its facts could not be gathered: {result.error_text or 'no answer'}",
            code=result.code,
            stderr=result.error_text,
        )
    return parse(result.text, host, (sent, received), certificate_end(host))


def certificate_end(host: Host) -> datetime | None:
    """Return when the first of the SSH certificates that we log in with ends; None without any."""
    login = Login.of(host)
    return None if login.local else credentials.earliest_expiry(Route(host.name, login, ()).key_files())


def script(host: Host) -> str:
    """Return the script to run on the host."""
    settings = shell.assignments({"il_root": host.root, "il_patience": str(PATIENCE)})
    return settings + resources.files(__package__).joinpath("facts.sh").read_text("utf-8")


def parse(
    output: str, host: Host, between: tuple[datetime, datetime], certificate: datetime | None = None
) -> HostFacts:
    """Read the answer of `script`, sent and received at `between`; what is missing or odd in it is left out."""
    lines = _lines(output)
    engines = {name: _engine(lines, name) for name in _ENGINES}
    engine = _chosen(host, engines)
    found = _gpus(lines)
    raw: dict[str, Any] = {name: _one(lines, name) for name in ("hostname", "os", "kernel", "user", "home")}
    raw |= {
        "uid": _number(_one(lines, "uid")),
        "cgroup": _number(_one(lines, "cgroup")),
        "tools": sorted(lines["tool"]),
        "disk": _disk(lines),
        "engines": engines,
        "gpus": found,
        "slurm": _slurm(lines),
        "clock_skew": _skew(lines, between),
        "certificate_expires": certificate.isoformat() if certificate else None,
    }
    machine = _one(lines, "arch")
    return HostFacts(
        cpus=_cpus(lines),
        memory=_memory(lines),
        arch=_ARCHITECTURES.get(machine, machine),
        gpus=dict(Counter(gpu["resource"] for gpu in found)),
        address=_address(lines),
        engine=engine,
        engine_version=engines[engine].get("version", "") if engine else "",
        raw={name: value for name, value in raw.items() if value not in (None, "", [], {})},
    )


def _lines(output: str) -> defaultdict[str, list[str]]:
    """Return the values by name; whatever a login shell printed in between is passed over."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in output.splitlines():
        mark, _, rest = line.partition("\t")
        name, separator, value = rest.partition("\t")
        if mark == "fact" and separator and value.strip():
            found[name].append(value.strip())
    return found


def _one(lines: Lines, name: str) -> str:
    return next(iter(lines.get(name, ())), "")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _least(numbers: Iterable[float | None]) -> float | None:
    return min((n for n in numbers if n), default=None)


def _cpus(lines: Lines) -> float | None:
    """Return the smaller of the count and the control group's limit, "QUOTA PERIOD" in microseconds."""
    quota, _, period = _one(lines, "cpu.limit").partition(" ")
    limit = int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None
    return _least([_number(_one(lines, "cpu.count")), limit])


def _memory(lines: Lines) -> int | None:
    """Return the smaller of the machine's memory and the control group's limit, in bytes."""
    total = _number(_one(lines, "memory.kib"))
    least = _least([total * 1024 if total else None, _number(_one(lines, "memory.limit"))])
    return None if least is None else int(least)


def _address(lines: Lines) -> str:
    """Return the address of the default route, else the first one, else the one that SSH came in by."""
    ssh = _one(lines, "address.ssh").split()
    candidates = [_one(lines, "address.route"), *_one(lines, "address.all").split()[:1], *ssh[2:3]]
    return next(filter(None, candidates), "")


def _disk(lines: Lines) -> dict[str, Any]:
    """Read the line of `df -Pk`: device, KiB in all, used, available, percent, mount point."""
    words = _one(lines, "disk.df").split(None, 5)
    if len(words) < 6 or not (words[1].isdecimal() and words[3].isdecimal()):
        return {}
    return {
        "path": _one(lines, "disk.path"),
        "mount": words[5],
        "total": int(words[1]) * 1024,
        "free": int(words[3]) * 1024,
    }


def _engine(lines: Lines, name: str) -> dict[str, str]:
    if version := _one(lines, f"{name}.version"):
        return {"version": version}
    error = _one(lines, f"{name}.error") or "not asked"
    cure = next((cure for symptom, cure in _CURES.items() if name == "docker" and symptom in error), "")
    return {"error": error} | ({"cure": cure} if cure else {})


def _chosen(host: Host, engines: Mapping[str, Mapping[str, str]]) -> str:
    """Return the engine that the driver would use: the one that is asked for, or the first that works."""
    works = [name for name in _ENGINES if "version" in engines[name]]
    if host.driver == "docker" or "interlink_engine" in host.vars:
        return next((name for name in works if name == host.get("interlink_engine")), "")
    return works[0] if host.driver == "auto" and works else ""


def _gpus(lines: Lines) -> list[dict[str, Any]]:
    """Read nvidia-smi's lines "name, MiB, driver" and rocm-smi's "cardN,name,..."."""
    found: list[dict[str, Any]] = []
    for line in lines.get("gpu.nvidia", ()):
        words = [word.strip() for word in line.split(",")]
        if len(words) == 3:
            memory = _number(words[1])
            size = memory << 20 if memory else None
            found.append({"resource": "nvidia.com/gpu", "name": words[0], "memory": size, "driver": words[2]})
    for line in lines.get("gpu.amd", ()):
        card, _, rest = line.partition(",")
        if card.startswith("card") and card[4:].isdecimal():
            found.append({"resource": "amd.com/gpu", "name": rest.split(",")[0].strip()})
    return found


def _slurm(lines: Lines) -> dict[str, Any]:
    version, error = _one(lines, "slurm.version"), _one(lines, "slurm.error")
    if not version and not error:
        return {}
    found: dict[str, Any] = {"version": version.removeprefix("slurm ")} if version else {}
    rows = partitions.parse(lines.get("slurm.partition", ()))
    return found | ({"error": error} if error else {"partitions": rows})


def _skew(lines: Lines, between: tuple[datetime, datetime]) -> int | None:
    """Return by how many whole seconds at least the host's clock is ahead; None while it is within two.

    The host looked at its clock at some moment between the two: a slow answer is no wrong clock.
    """
    clock = _number(_one(lines, "time"))
    if clock is None:
        return None
    sent, received = (moment.timestamp() for moment in between)
    ahead = round(clock - min(max(clock, sent), received))
    return ahead if abs(ahead) > 2 else None
