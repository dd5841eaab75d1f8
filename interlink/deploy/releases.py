"""Releases of our services on one machine: what is installed there, and how it gets there; both can be repeated."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from interlink.deploy import remote
from interlink.deploy.libraries import Libraries
from interlink.deploy.machine import Machine
from interlink.deploy.steps import Difference, Finding
from interlink.deploy.wheel import Wheel
from interlink.errors import CommandFailed
from interlink.remote import shell
from interlink.remote.connection import Connection

_INSTALL_SECONDS = 1800.0


@dataclass(frozen=True)
class Release:
    """A wheel with what it needs: our libraries, or None where pip has to fetch them."""

    wheel: Wheel
    libraries: Libraries | None

    @classmethod
    def of(cls, wheel: Wheel, libraries: Libraries | None, machine: Machine) -> Release:
        """Return the release for a machine: our libraries are of use to the same Python alone."""
        return cls(wheel, libraries if libraries and libraries.tag == machine.tag else None)

    @property
    def name(self) -> str:
        """A name that differs if anything in it does."""
        content = f"{self.wheel.digest} {self.libraries.key if self.libraries else ''}"
        return f"{self.wheel.version}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def source(self) -> str:
        """Where its libraries come from."""
        return "with the libraries of this machine" if self.libraries else "with libraries that pip fetches"


@dataclass(frozen=True)
class Installation:
    """A release below the services' directory of one machine."""

    connection: Connection
    machine: Machine
    release: Release

    def look(self) -> Finding:
        """See whether it is installed completely."""
        if "release" in self._present():
            return Finding(self.release.name)
        return Finding(differences=(Difference(f"release {self.release.name}, {self.release.source}"),))

    def mend(self) -> None:
        """Install it into a virtual environment of its own; libraries are sent once, however many releases use them."""
        libraries = self.release.libraries
        if libraries and "libraries" not in self._present():
            self._call("il_unpack", libraries.archive(), what="the libraries cannot be unpacked")
        try:
            self._call("il_install", self.release.wheel.content, what="the release cannot be installed")
        except CommandFailed as error:
            raise CommandFailed(f"{error}{_pip_cure(error.stderr)}", code=error.code, stderr=error.stderr) from error

    def _present(self) -> list[str]:
        return self._call("il_present").split()

    def _call(self, name: str, stdin: bytes = b"", what: str = "") -> str:
        directory = f"{self.machine.base}/releases/{self.release.name}"
        values = {
            "il_base": self.machine.base,
            "il_python": self.machine.python,
            "il_release": self.release.name,
            "il_wheel": self.release.wheel.name,
            "il_libraries": self.release.libraries.key if self.release.libraries else "",
            "il_script": command(directory),
        }
        script = shell.assignments(values)
        script += resources.files(__package__).joinpath("release.sh").read_text("utf-8")
        return remote.run(self.connection, f"{script}\n{name}\n", stdin=stdin, timeout=_INSTALL_SECONDS, what=what)


def command(directory: str) -> str:
    """Return the release's command `interlink`; Python's path may be too long for a #! line, so sh reads it first."""
    python = shell.quote(f"{directory}/bin/python")
    return f"#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\nfrom interlink.cli import main\n\nmain()"


def _pip_cure(said: str) -> str:
    if "No matching distribution" in said or "Could not fetch" in said or "ConnectionError" in said:
        return (
            "; pip there found no package index: give it one in its ~/.config/pip/pip.conf (index-url, proxy, cert),"
            " or a directory of wheels (find-links); or deploy with the same Python here as there, whose libraries"
            " are then sent along"
        )
    return ""
