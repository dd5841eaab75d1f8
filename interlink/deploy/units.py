"""systemd units of our services, hardened; pure. deploy/systemd holds the same for those who install by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """A process that is to run for ever: `name` is its unit's, `writable` are the directories that it changes."""

    name: str
    description: str
    argv: Sequence[str]
    writable: Sequence[str]
    after: str = "network-online.target"
    local: bool = False  # it starts pods on its own machine


# What a service that reaches all its hosts over SSH can do without.
_HARDENING = """\
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
CapabilityBoundingSet=
UMask=0077
"""
# An unprivileged manager cannot set up most of these; it refuses to start a unit that asks for them.
_USER_HARDENING = """\
NoNewPrivileges=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
UMask=0077
"""
# Pods of this very machine are started by the server and inherit what is denied to it: engines and runtimes need it.
_LOCAL_HARDENING = """\
UMask=0077
"""


def unit(service: Service, *, system: bool) -> str:
    """Return the unit's text for the system's manager, or for a user's."""
    words = " ".join(_word(word) for word in service.argv)
    return (
        "[Unit]\n"
        f"Description={service.description}\n"
        f"Wants={service.after}\n"
        f"After={service.after}\n"
        "StartLimitIntervalSec=0\n"
        "\n"
        "[Service]\n"
        "Type=exec\n"
        f"ExecStart={words}\n"
        "Restart=always\n"
        "RestartSec=2\n"
        "TimeoutStopSec=60\n"
        "KillMode=process\n"  # what it has started for pods of this machine outlives it
        "Environment=PYTHONUNBUFFERED=1\n"
        f"{_hardening(service, system=system)}"
        "\n"
        "[Install]\n"
        f"WantedBy={'multi-user.target' if system else 'default.target'}\n"
    )


def _hardening(service: Service, *, system: bool) -> str:
    if service.local:
        return _LOCAL_HARDENING
    if not system:
        return _USER_HARDENING
    return f"{_HARDENING}ReadWritePaths={' '.join(_word(path) for path in service.writable)}\n"


def _word(word: str) -> str:
    """Quote one word of ExecStart: systemd expands % and $, and splits at blanks."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in escaped for c in " \t\"'") or not escaped else escaped
