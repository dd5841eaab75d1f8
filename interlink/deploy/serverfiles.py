"""The files of a server: settings, the inventory as the server sees it, keys and pinned host keys; all 0600.

The server is another machine than the one that deploys, or another account: what ~/.ssh/config and the user's name
say here is written out, and every private key goes along under a name of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from interlink.config import render
from interlink.deploy.machine import Machine
from interlink.deploy.remote import File
from interlink.errors import ConfigError
from interlink.model.host import Host, Inventory, workers
from interlink.model.login import Login
from interlink.remote import credentials, hostkeys
from interlink.remote.pool import route
from interlink.remote.route import Route

_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def files(server: Host, machine: Machine, inventory: Inventory, known_hosts: Path) -> tuple[File, ...]:
    """Return all files; ConfigError for a host that the server could not enter."""
    keys: dict[str, File] = {}
    own: dict[str, dict[str, Any]] = {}
    lines: dict[str, None] = {}
    found = workers(inventory)
    for host in found.hosts.values():
        if Login.of(host).local or host.driver == "mock":
            continue
        way = route(host, known_hosts)
        own[host.name] = _login(host, way, machine, keys)
        lines |= dict.fromkeys(_pinned(way))
    return (
        File(f"{machine.config}/interlink.yaml", settings(server, machine).encode(), secret=_secret(server)),
        File(f"{machine.config}/inventory.yaml", render.inventory(found, own).encode()),
        File(f"{machine.config}/known_hosts", "".join(lines).encode()),
        *keys.values(),
    )


def settings(server: Host, machine: Machine) -> str:
    """Return the server's settings file."""
    content: dict[str, str] = {
        "listen": str(server.get("interlink_server_listen")),
        "inventory": f"{machine.config}/inventory.yaml",
        "state_dir": machine.state,
        "token_file": f"{machine.config}/token",
    }
    if ledger := str(server.get("interlink_server_ledger") or ""):
        content["ledger"] = ledger
    return render.dump(content)


def _secret(server: Host) -> bool:
    """A database URL may hold a password."""
    return bool(server.get("interlink_server_ledger"))


def _login(host: Host, way: Route, machine: Machine, keys: dict[str, File]) -> dict[str, Any]:
    """Return the variables by which the server enters a host, and add the key's files."""
    hop = way.hops()[-1]
    said: dict[str, Any] = {
        "ansible_host": hop.host,
        "ansible_port": hop.port,
        "ansible_user": str(hop.connection.user),
        "interlink_known_hosts": f"{machine.config}/known_hosts",
    }
    if host.get("interlink_credential_command"):
        return said  # it makes the key where it runs
    key = _key(host, hop.key_files)
    for file in _key_files(host, key, machine):
        keys[file.path] = file
    content = key.read_bytes()
    return {**said, "ansible_ssh_private_key_file": _key_path(machine, key, content)}


def _key(host: Host, named: list[str]) -> Path:
    """Return the private key that the server is to log in with."""
    candidates = [Path(name).expanduser() for name in named]
    candidates += [Path("~/.ssh").expanduser() / name for name in _DEFAULT_KEYS]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise ConfigError(
            f"host {host.name}: the server needs a private key of its own to log in there, and has no agent:"
            " name one by ansible_ssh_private_key_file"
        )
    return found


def _key_files(host: Host, key: Path, machine: Machine) -> Iterator[File]:
    try:
        content = key.read_bytes()
        certificate = credentials.certificate_of(key)
        beside = certificate.read_bytes() if certificate.is_file() else None
    except OSError as error:
        raise ConfigError(f"the private key cannot be read: {error.strerror}", file=str(key)) from error
    if _locked(content):
        raise ConfigError(
            f"host {host.name}: the private key has a passphrase, which a server cannot type: make a key without one"
            " for it (ssh-keygen -t ed25519), and name it by ansible_ssh_private_key_file",
            file=str(key),
        )
    path = _key_path(machine, key, content)
    yield File(path, content, secret=True)
    if beside is not None:
        yield File(f"{path}-cert.pub", beside)


def _locked(content: bytes) -> bool:
    try:
        load_ssh_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return "password" in str(error).lower() or "encrypted" in str(error).lower()
    return False


def _key_path(machine: Machine, key: Path, content: bytes) -> str:
    return f"{machine.config}/keys/{hashlib.sha256(content).hexdigest()[:8]}-{key.name}"


def _pinned(way: Route) -> Iterator[str]:
    """Yield the lines of known_hosts for a host and its gateways."""
    known = hostkeys.load(way.known_hosts)
    for hop in way.hops():
        name = hostkeys.known_name(hop.host, hop.port)
        for kind, key in sorted((known.lookup(name) or {}).items()):
            yield f"{name} {kind} {key.get_base64()}\n"
