"""Text in which some parts are known only on the host, such as a pod's own address.

A `Text` is a tuple of plain strings and `HostValue`s. A host value is the name of a shell variable that
the script on the host has set before it uses the text: `$IL_POD_IP`, `$IL_HOST_IP`, and what a dialect
adds of its own (an attempt's number, a volume's path there). Everything else is quoted.

>>> word(text("http://", HostValue.POD_IP, ":80/?a=$b"))
'http://"$IL_POD_IP"\\':80/?a=$b\\''
>>> literal(text("ip=", HostValue.POD_IP), {HostValue.POD_IP: "10.0.0.7"})
'ip=10.0.0.7'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from interlink.remote import shell

_VARIABLE = re.compile(r"IL_[A-Z0-9_]+")


@dataclass(frozen=True)
class HostValue:
    """A shell variable of the script on the host; always ours, so its name starts with `IL_`."""

    variable: str

    POD_IP: ClassVar[HostValue]
    HOST_IP: ClassVar[HostValue]

    def __post_init__(self) -> None:
        if not _VARIABLE.fullmatch(self.variable):
            raise ValueError(f"{self.variable!r} is not one of our shell variables")


HostValue.POD_IP = HostValue("IL_POD_IP")
HostValue.HOST_IP = HostValue("IL_HOST_IP")

Part = str | HostValue
Text = tuple[Part, ...]


def text(*parts: Part) -> Text:
    """Join parts to a text: neighbouring strings become one, empty ones vanish."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        elif part != "":
            joined.append(part)
    return tuple(joined)


def concat(*texts: Text) -> Text:
    """Return the texts one after the other."""
    return text(*(part for item in texts for part in item))


def texts(*words: str) -> tuple[Text, ...]:
    """Return plain words as texts."""
    return tuple(text(item) for item in words)


def is_plain(item: Text) -> bool:
    """Say whether the text is known already."""
    return not any(isinstance(part, HostValue) for part in item)


def word(item: Text) -> str:
    """Return the text as exactly one word of a POSIX shell; ValueError for NUL.

    Quotes only what needs it, so that scripts stay readable; a host value stands in double quotes.
    """
    if not item:
        return "''"
    return "".join(f'"${part.variable}"' if isinstance(part, HostValue) else shell.quote(part) for part in item)


def line(words: Iterable[Text]) -> str:
    """Return an argument list as one line of a shell script."""
    return " ".join(word(item) for item in words)


def literal(item: Text, values: Mapping[HostValue, str] | None = None) -> str:
    """Return the text as a string; KeyError names a host value that `values` does not have."""
    known = values or {}
    return "".join(part if isinstance(part, str) else known[part] for part in item)
