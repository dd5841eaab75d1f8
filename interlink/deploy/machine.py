"""The machine that runs our services: what it is, what it lacks, where things lie there. Pure but for `gather`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from interlink.deploy import remote
from interlink.errors import InputError
from interlink.model.host import Host
from interlink.remote import shell
from interlink.remote.connection import Connection

Manager = Literal["system", "user", "pidfile"]

LEAST_PYTHON = (3, 10)
VENV_CURE = "have an admin install it (Debian: apt-get install python3-venv)"
LEAST_FREE = 600 << 20  # bytes: two releases with their libraries, and room for the ledger


@dataclass(frozen=True)
class Machine:
    """What is known of the machine; directories are absolute."""

    user: str
    uid: int
    base: str
    python: str
    manager: Manager
    linger: bool = True
    tag: str = ""  # which compiled libraries its Python loads
    pip: bool = True  # it can make a virtual environment with pip
    free: int | None = None  # bytes where the base is

    @property
    def config(self) -> str:
        return f"{self.base}/config"

    @property
    def state(self) -> str:
        return f"{self.base}/state"

    @property
    def current(self) -> str:
        """The release that runs, as a link."""
        return f"{self.base}/current"

    def described(self) -> str:
        """Say how services are run there."""
        if self.manager == "pidfile":
            return (
                f"{self.base}, by a pid file: there is no systemd for {self.user}, so nothing starts the services"
                " again after a crash or a reboot but the next `interlink server.start`"
            )
        if self.manager == "user" and not self.linger:
            return (
                f"{self.base}, by systemd --user; it ends when {self.user} logs out, unless an admin says:"
                f" loginctl enable-linger {self.user}"
            )
        return f"{self.base}, by systemd{'' if self.manager == 'system' else ' --user'}"


def gather(host: Host, connection: Connection) -> Machine:
    """Ask the machine; InputError with the cure for what it lacks."""
    settings = {
        "il_python": str(host.get("interlink_server_python")),
        "il_base": str(host.get("interlink_server_directory") or ""),
    }
    script = shell.assignments(settings)
    script += resources.files(__package__).joinpath("machine.sh").read_text("utf-8")
    found = parse(remote.run(connection, script, what="the machine cannot be looked at"))
    if complaint := "; ".join(complaints(found, settings["il_python"])):
        raise InputError(complaint)
    return of(found, str(host.get("interlink_server_manager")))


def parse(answer: str) -> dict[str, str]:
    """Read the answer of machine.sh; what a login shell printed in between is passed over."""
    pairs = [line.partition(" ") for line in answer.splitlines()]
    return {name: value.strip() for name, mark, value in pairs if mark and name.isalpha() and value.strip()}


def complaints(found: dict[str, str], wanted: str) -> Iterator[str]:
    """Yield what the machine lacks, each with its cure."""
    least = ".".join(map(str, LEAST_PYTHON))
    version = found.get("version", "")
    if "python" not in found:
        yield (
            f"there is no {wanted}: install Python {least} or newer (Debian: apt-get install python3 python3-venv),"
            " or name another by interlink_server_python"
        )
    elif tuple(int(part) for part in version.split(".") if part.isdecimal()) < LEAST_PYTHON:
        yield (
            f"{found['python']} is Python {version}, and {least} is needed: install a newer one and name it by"
            " interlink_server_python, such as python3.12"
        )
    elif found.get("venv") != "yes":
        yield f"{found['python']} has no venv: {VENV_CURE}"


def lacks(machine: Machine, *, fetches: bool) -> Iterator[str]:
    """Yield what a new release needs and the machine does not have; `fetches` says that pip has to get libraries."""
    if machine.free is not None and machine.free < LEAST_FREE:
        yield (
            f"only {machine.free >> 20} MiB are free where {machine.base} is to be, and {LEAST_FREE >> 20} are needed:"
            " free some, or set interlink_server_directory"
        )
    if fetches and not machine.pip:
        yield (
            f"{machine.python} has no pip for virtual environments: {VENV_CURE}; or deploy with the same Python here as"
            " there, whose libraries are then sent along"
        )


def of(found: dict[str, str], wanted: str) -> Machine:
    """Return the machine, its manager settled; InputError for one that is wanted and cannot be."""
    uid = int(found["uid"])
    possible: dict[str, bool] = {
        "system": uid == 0 and found.get("system") == "yes",
        "user": uid != 0 and found.get("session") == "yes",
        "pidfile": True,
    }
    if wanted != "auto" and not possible[wanted]:
        raise InputError(
            f"interlink_server_manager is {wanted}, which {found.get('user')} cannot use there"
            f" ({'that needs root, and systemd as process 1' if wanted == 'system' else 'no systemd --user answers'}):"
            " set it to auto, or log in as somebody else"
        )
    manager = next(name for name, there in possible.items() if there) if wanted == "auto" else wanted
    return Machine(
        user=found.get("user", str(uid)),
        uid=uid,
        base=found["base"],
        python=found["python"],
        manager=manager,  # type: ignore[arg-type]  # one of the keys above
        linger=found.get("linger") != "no",
        tag=found.get("tag", ""),
        pip=found.get("ensurepip") == "yes",
        free=int(found["free"]) * 1024 if found.get("free", "").isdecimal() else None,
    )
