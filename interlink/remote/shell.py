"""Quoting for a POSIX shell; pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping


def quote(word: str) -> str:
    """Return `word` as exactly one word of a POSIX shell.

    Raises ValueError for NUL, which no argument can carry.
    """
    if "\0" in word:
        raise ValueError("a NUL byte cannot be passed to a command")
    return shlex.quote(word)


def join(argv: Iterable[str]) -> str:
    """Return an argument list as a shell command line."""
    return " ".join(quote(word) for word in argv)


def assignments(values: Mapping[str, str]) -> str:
    """Return lines that set shell variables.

    >>> assignments({"a": "b c", "d": ""})
    "a='b c'\\nd=''\\n"
    """
    return "".join(f"{name}={quote(value)}\n" for name, value in values.items())


def path(directory: str) -> str:
    """Return a path as one word; a leading `~` is the home directory of the user there.

    >>> path("~/.interlink"), path("/srv/a b")
    ('"$HOME"/.interlink', "'/srv/a b'")
    """
    if directory == "~" or directory.startswith("~/"):
        return '"$HOME"' + (quote(directory[1:]) if directory[1:] else "")
    return quote(directory)
