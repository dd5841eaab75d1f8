"""A kubeconfig made whole: one context, with the files that it names taken in, to be carried to another machine."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlink.config import render, yamlfile
from interlink.errors import ConfigError

_FILES = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}


def flatten(path: Path) -> str:
    """Return the current context of a kubeconfig as a kubeconfig of its own; ConfigError says what is wrong with it."""
    text = yamlfile.read_text(path)
    data = yamlfile.mapping(yamlfile.parse(text, str(path)), text, str(path))
    name = data.get("current-context")
    if not name:
        raise ConfigError(
            f"has no current-context; choose one: kubectl --kubeconfig {path} config use-context NAME", file=str(path)
        )
    context = _named(data, "contexts", "context", name, path)
    cluster = _named(data, "clusters", "cluster", context.get("cluster"), path)
    user = _named(data, "users", "user", context.get("user"), path)
    if "exec" in user or "auth-provider" in user:
        raise ConfigError(
            f"the user {context.get('user')!r} logs in by a program of this machine, which the server's does not have:"
            " make a kubeconfig with a service account's token (docs/operations.md)",
            file=str(path),
        )
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "interlink",
        "contexts": [{"name": "interlink", "context": {"cluster": "interlink", "user": "interlink"}}],
        "clusters": [{"name": "interlink", "cluster": _taken_in(cluster, path)}],
        "users": [{"name": "interlink", "user": _taken_in(user, path)}],
    }
    return render.dump(whole)


def _named(data: Mapping[str, Any], kind: str, inner: str, name: Any, path: Path) -> Mapping[str, Any]:
    for entry in data.get(kind) or ():
        if isinstance(entry, Mapping) and entry.get("name") == name and isinstance(entry.get(inner), Mapping):
            found: Mapping[str, Any] = entry[inner]
            return found
    raise ConfigError(f"names the {inner} {name!r}, and has none of that name under {kind}", file=str(path))


def _taken_in(section: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Replace the names of files by their contents; they are relative to the kubeconfig."""
    found: dict[str, Any] = {}
    for key, value in section.items():
        if key in _FILES:
            found[_FILES[key]] = base64.b64encode(_content(path.parent / str(value))).decode()
        elif key == "tokenFile":
            found["token"] = _content(path.parent / str(value)).decode().strip()
        else:
            found[key] = value
    return found


def _content(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from error
