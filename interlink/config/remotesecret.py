"""The one machine that KNoC's secret names by variables (wire.md 5.4), as an inventory.

REMOTE_KEY holds the private key itself; it and the pinned host keys become files of ours, 0600.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from interlink.config import render
from interlink.errors import ConfigError
from interlink.model import kinds

_NEEDED = ("REMOTE_HOST", "REMOTE_USER", "REMOTE_KEY", "REMOTE_KNOWN_HOSTS")


def named(environ: Mapping[str, str]) -> bool:
    """Tell whether the variables name a machine."""
    return bool(environ.get("REMOTE_HOST"))


def inventory(environ: Mapping[str, str], directory: Path) -> str:
    """Write the inventory and what belongs to it into a directory that is ours alone; return its path.

    ConfigError for a variable that is missing or wrong.
    """
    missing = [name for name in _NEEDED if not environ.get(name, "").strip()]
    if "REMOTE_KNOWN_HOSTS" in missing:
        raise ConfigError(
            "$REMOTE_KNOWN_HOSTS is missing: put the machine's host key (ssh-keyscan, compared with the machine's own)"
            " into the secret under `known_hosts`; without it anybody in between could take the pods"
        )
    if missing:
        raise ConfigError(f"${missing[0]} is missing beside $REMOTE_HOST: the secret remote-secret is not complete")
    try:
        port = kinds.integer(1, 65535)(environ.get("REMOTE_PORT") or 22)
    except ValueError as error:
        raise ConfigError(f"$REMOTE_PORT: {environ['REMOTE_PORT']!r} is wrong: {error}") from error
    key, known = directory / "key", directory / "known_hosts"
    _write(key, environ["REMOTE_KEY"].strip() + "\n")
    _write(known, environ["REMOTE_KNOWN_HOSTS"].strip() + "\n")
    host = {
        "ansible_host": environ["REMOTE_HOST"].strip(),
        "ansible_port": port,
        "ansible_user": environ["REMOTE_USER"].strip(),
        "ansible_ssh_private_key_file": str(key),
        "interlink_known_hosts": str(known),
    }
    path = directory / "inventory.yaml"
    _write(path, render.dump({"all": {"hosts": {"remote": host}}}))
    return str(path)


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else may read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=str(path)) from error
