"""The token that a client sends."""

from __future__ import annotations

from pathlib import Path

from interlink.errors import ConfigError


def token(file: Path | None) -> str:
    """Return the token in a file, read anew for each request, as it may be rotated; "" without one."""
    if file is None:
        return ""
    try:
        words = file.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file cannot be read: {error}", file=str(file)) from error
    return words[0] if words else ""
