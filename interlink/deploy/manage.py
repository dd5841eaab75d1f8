"""Our services on one machine: release, unit, start, stop, state; every verb is one script, and can be repeated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from interlink.deploy import remote, units
from interlink.deploy.machine import Machine
from interlink.deploy.remote import File
from interlink.deploy.steps import Difference, Finding
from interlink.deploy.units import Service
from interlink.deploy.wheel import Wheel
from interlink.errors import CommandFailed, InputError
from interlink.remote import shell
from interlink.remote.connection import Connection

_INSTALL_SECONDS = 1800.0
_STOP_SECONDS = 120.0


@dataclass(frozen=True)
class State:
    """How a service stands; `stamp` is what it was started with, "" if it was not started by us."""

    state: str
    stamp: str
    release: str
    previous: str

    @property
    def active(self) -> bool:
        return self.state == "active"


@dataclass(frozen=True)
class Manager:
    """The services below one directory of one machine."""

    connection: Connection
    machine: Machine

    def unit_file(self, service: Service) -> File | None:
        """Return the unit to install; None without systemd."""
        if self.machine.manager == "pidfile":
            return None
        system = self.machine.manager == "system"
        directory = "/etc/systemd/system" if system else "~/.config/systemd/user"
        return File(f"{directory}/{service.name}.service", units.unit(service, system=system).encode(), 0o644)

    def state(self, name: str) -> State:
        """Ask how a service stands."""
        pairs = [line.partition(" ") for line in self._call(name, "il_state").splitlines()]
        found = {key: value.strip() for key, _, value in pairs}
        return State(*(found.get(key, "") for key in ("state", "stamp", "release", "previous")))

    def start(self, service: Service, stamp: str) -> None:
        """Start a service; nothing happens if it runs."""
        self._call(service.name, "il_start", stamp, f"{self.machine.base}/run/{service.name}.log", *service.argv)

    def stop(self, name: str) -> None:
        """Stop a service; nothing happens if it does not run."""
        self._call(name, "il_stop")

    def switch(self, name: str, release: str) -> None:
        """Make an installed release the current one, for the next start."""
        self._call(name, "il_switch", release)

    def logs(self, name: str, lines: int) -> str:
        """Return the end of a service's log."""
        return self._call(name, "il_logs", str(lines))

    def _call(self, name: str, *call: str) -> str:
        values = {"il_base": self.machine.base, "il_manager": self.machine.manager, "il_name": name}
        script = "".join(f"{key}={shell.quote(value)}\n" for key, value in values.items())
        script += resources.files(__package__).joinpath("service.sh").read_text("utf-8")
        return remote.run(self.connection, f"{script}\n{shell.join(call)}\n", timeout=_STOP_SECONDS)

    # --- releases

    def release_look(self, release: str) -> Finding:
        """See whether a release is installed completely."""
        directory = f"{self.machine.base}/releases/{release}"
        script = f"[ -f {shell.path(directory)}/complete ] && echo yes || echo no"
        if remote.run(self.connection, script).strip() == "yes":
            return Finding(release)
        return Finding(differences=(Difference(f"release {release}"),))

    def release_mend(self, release: str, wheel: Wheel) -> None:
        """Install a release into a virtual environment of its own; what an earlier attempt has left goes first."""
        script = f"""set -e
umask 077
base={shell.path(self.machine.base)}
dir=$base/releases/{shell.quote(release)}
mkdir -p "$base/releases" "$base/wheels"
cat > "$base/wheels/"{shell.quote(wheel.name)}
exec 9>"$base/lock"
if command -v flock >/dev/null 2>&1; then flock -w 900 9; fi
[ ! -f "$dir/complete" ] || exit 0
rm -rf "$dir"
{shell.quote(self.machine.python)} -m venv "$dir" 9>&-
"$dir/bin/python" -m pip install -q --no-compile --disable-pip-version-check \\
    "$base/wheels/"{shell.quote(wheel.name)} 9>&-
"$dir/bin/interlink" --version >/dev/null
: > "$dir/complete"
# two older releases stay for a rollback; what runs now is never among the rest
cd "$base/releases"
for old in $(ls -1t | tail -n +4); do
    case "$(readlink ../current) $(readlink ../previous)" in *"$old"*) ;; *) rm -rf "$old" ;; esac
done
"""
        try:
            remote.run(self.connection, script, stdin=wheel.content, timeout=_INSTALL_SECONDS, what="pip")
        except CommandFailed as error:
            raise CommandFailed(f"{error}{_pip_cure(error.stderr)}", code=error.code, stderr=error.stderr) from error


def _pip_cure(said: str) -> str:
    if "No matching distribution" in said or "Could not fetch" in said or "ConnectionError" in said:
        return (
            "; pip there found no package index: give it one in its ~/.config/pip/pip.conf (index-url, proxy, cert),"
            " or a directory of wheels (find-links)"
        )
    return ""


def running_look(manager: Manager, service: Service, stamp: str) -> Finding:
    """See whether a service runs as it was wanted last."""
    found = manager.state(service.name)
    if found.active and found.stamp == stamp:
        return Finding(f"{found.state}, release {found.release}")
    why = "not running" if not found.active else "started with another release or configuration"
    return Finding(differences=(Difference(f"{service.name}: {why}"),))


def wait(manager: Manager, name: str, question: Sequence[str], patience: float) -> str:
    """Repeat a question (an argument list on the machine) until it says yes; CommandFailed with the log's end."""
    until = time.monotonic() + patience
    while True:
        result = manager.connection.run(shell.join(question), timeout=60)
        if result.code == 0:
            return result.text
        if not manager.state(name).active or time.monotonic() > until:
            log = " / ".join(line.strip() for line in manager.logs(name, 8).splitlines() if line.strip())
            said = log or result.error_text or result.text.strip()
            raise CommandFailed(f"{name} does not answer: {said[-600:]}", code=result.code)
        time.sleep(0.5)


def rollback(manager: Manager, service: Service, stamp: str) -> str:
    """Go back to the release before; return its name. InputError where there is none."""
    found = manager.state(service.name)
    if not found.previous or found.previous == found.release:
        raise InputError("there is no earlier release to go back to")
    manager.stop(service.name)
    manager.switch(service.name, found.previous)
    manager.start(service, stamp)
    return found.previous
