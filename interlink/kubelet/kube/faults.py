"""What is wrong with a kubeconfig, or with what it has us show; pure but for looking at the files it names."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cryptography import x509

HOW = "name another by --kubeconfig, $KUBECONFIG or $CUSTOMKUBECONF"
_FILES = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}


def of_files(paths: str) -> str:
    """Return why none of these files (joined as in $KUBECONFIG) can be read, "" if one can."""
    found = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    there = [path for path in found if path.exists()]
    if not there:
        return f"there is no such file; {HOW}"
    for path in there:
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
    return ""


def of_content(config: object, directory: Path | None) -> str:
    """Return what is missing in a kubeconfig, "" if nothing is; `directory`, if known, is where its paths begin."""
    if not isinstance(config, Mapping) or not config:
        return "it is no kubeconfig: a YAML mapping with clusters, users and contexts"
    current = config.get("current-context")
    if not current:
        return "it has no current-context; choose one by `kubectl config use-context NAME`"
    context = _named(config, "context", str(current))
    if context is None:
        return f"its current-context {current!r} is not among its contexts ({_names(config, 'context') or 'none'})"
    faults = (_of_entry(config, kind, str(context.get(kind) or ""), str(current), directory) for kind in _FILES)
    return next(filter(None, faults), "")


def _of_entry(config: Mapping[str, Any], kind: str, name: str, context: str, directory: Path | None) -> str:
    entry = _named(config, kind, name)
    if kind == "user" and not name:
        return ""  # whoever is in between knows who we are
    if entry is None:
        return f"its context {context!r} names the {kind} {name!r}, which is not there"
    if kind == "cluster" and not entry.get("server"):
        return f"its cluster {name!r} has no server"
    return _unreadable(kind, name, entry, directory)


def expired(certificate: bytes | None, token: str, now: datetime | None = None) -> str:
    """Say since when what we show is worth nothing; "" if it holds, or does not tell."""
    now = now or datetime.now(timezone.utc)
    if token:
        ends = _token_ends(token)
        return f"the token expired at {ends:%Y-%m-%d %H:%M:%S} UTC" if ends and ends < now else ""
    if certificate:
        try:
            ends = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
        except ValueError:
            return ""
        return f"the client certificate expired at {ends:%Y-%m-%d %H:%M:%S} UTC" if ends < now else ""
    return ""


def _token_ends(token: str) -> datetime | None:
    """Return when a JWT ends; nothing is verified, that is the server's business."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), timezone.utc)
    except (ValueError, TypeError, KeyError, binascii.Error, OverflowError):
        return None


def _named(config: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any] | None:
    for item in config.get(f"{kind}s") or ():
        if isinstance(item, Mapping) and item.get("name") == name:
            found = item.get(kind)
            return found if isinstance(found, Mapping) else {}
    return None


def _names(config: Mapping[str, Any], kind: str) -> str:
    return ", ".join(str(item.get("name")) for item in config.get(f"{kind}s") or () if isinstance(item, Mapping))


def _unreadable(kind: str, name: str, entry: Mapping[str, Any], directory: Path | None) -> str:
    for key in _FILES[kind]:
        if entry.get(key) and not entry.get(f"{key}-data"):
            path = Path(str(entry[key]))
            if directory is not None:
                path = directory / path
            elif not path.is_absolute():
                continue
            try:
                with path.open("rb"):
                    pass
            except OSError as error:
                return f"{key} of its {kind} {name!r}, {path}, cannot be read: {error.strerror}"
    return ""
