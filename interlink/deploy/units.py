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


# What neither service needs. A server reads ~/.ssh of its user, drives local engines by their sockets, and runs
# interlink_credential_command; so homes stay readable, and nothing is denied to its children but privileges.
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
MemoryDenyWriteExecute=yes
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


def unit(service: Service, *, system: bool) -> str:
    """Return the unit's text for the system's manager, or for a user's."""
    words = " ".join(_word(word) for word in service.argv)
    writable = " ".join(_word(path) for path in service.writable)
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
        "KillMode=mixed\n"
        "Environment=PYTHONUNBUFFERED=1\n"
        f"{_HARDENING if system else _USER_HARDENING}"
        f"{f'ReadWritePaths={writable}' + chr(10) if system else ''}"
        "\n"
        "[Install]\n"
        f"WantedBy={'multi-user.target' if system else 'default.target'}\n"
    )


def _word(word: str) -> str:
    """Quote one word of ExecStart: systemd expands % and $, and splits at blanks."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in escaped for c in " \t\"'") or not escaped else escaped
