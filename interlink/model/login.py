"""How to reach and enter a host, read from Ansible's connection variables; pure.

As in ssh, the first value of a keyword wins, and the command line wins over ~/.ssh/config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from interlink.model import sshargs
from interlink.model.host import Host
from interlink.model.variables import LOCAL_CONNECTIONS


@dataclass(frozen=True)
class Login:
    """Where and how to log in; None or an empty value is left to ~/.ssh/config and ssh's defaults.

    `jumps` are hops in the order of `ssh -J`, each `[user@]host[:port]`; `options` holds all other
    ssh_config keywords in lower case.
    """

    local: bool = False
    address: str = ""
    port: int | None = None
    user: str | None = None
    identity_files: tuple[str, ...] = ()
    jumps: tuple[str, ...] = ()
    proxy_command: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, host: Host) -> Login:
        """Read a host's variables; ValueError for what `config` would have refused."""
        options: dict[str, str] = {}
        identities = [str(v) for v in [host.get("ansible_ssh_private_key_file")] if v]
        for name in ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"):
            for keyword, value in sshargs.parse(str(host.get(name) or "")):
                if keyword == "identityfile":
                    identities.append(value)
                else:
                    options.setdefault(keyword, value)
        port = host.get("ansible_port") or options.get("port")
        jump = options.get("proxyjump", "none")
        command = options.get("proxycommand", "none")
        return cls(
            local=host.get("ansible_connection") in LOCAL_CONNECTIONS,
            address=str(host.get("ansible_host") or options.get("hostname") or host.name),
            port=None if port is None else sshargs.port(port),
            user=host.get("ansible_user") or options.get("user"),
            identity_files=tuple(identities),
            jumps=() if jump.lower() == "none" else tuple(hop.strip() for hop in jump.split(",")),
            proxy_command=None if command.lower() == "none" else command,
            options={k: v for k, v in options.items() if k not in _FIELDS},
        )


_FIELDS = ("port", "user", "hostname", "proxyjump", "proxycommand")
