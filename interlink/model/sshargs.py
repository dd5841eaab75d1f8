"""Arguments of ssh(1) as keywords of ssh_config(5), so that there is one vocabulary for both; pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

# Options with an argument, and without one, as keywords; "" is accepted and means nothing here.
_VALUED = {
    "J": "proxyjump",
    "i": "identityfile",
    "p": "port",
    "l": "user",
    "F": "configfile",
    "c": "ciphers",
    "m": "macs",
}
_FLAGS = {
    **dict.fromkeys("qvxTnakKstNf", ("", "")),
    "4": ("addressfamily", "inet"),
    "6": ("addressfamily", "inet6"),
    "A": ("forwardagent", "yes"),
    "C": ("compression", "yes"),
}


def parse(line: str) -> list[tuple[str, str]]:
    """Return the arguments in their order as pairs of keyword (in lower case) and value.

    ValueError says what would be right.

    >>> parse("-J a@gate:2222 -o 'ProxyCommand=ssh -W %h:%p gate' -oBatchMode=yes -C")
    [('proxyjump', 'a@gate:2222'), ('proxycommand', 'ssh -W %h:%p gate'), ('batchmode', 'yes'), ('compression', 'yes')]
    """
    words = iter(shlex.split(line))
    found: list[tuple[str, str]] = []
    for word in words:
        if len(word) < 2 or word[0] != "-":
            raise ValueError(f"{word!r} is no option of ssh; write options such as -J HOST or -o KEY=VALUE")
        found += _option(word[1:], words)
    return found


def port(value: object) -> int:
    """Return a port's number; ValueError for what is none."""
    if not str(value).isdecimal() or not 0 < int(str(value)) < 65536:
        raise ValueError(f"{value!r} is no port; write a number from 1 to 65535")
    return int(str(value))


def _option(letters: str, words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Take one word apart: flags may be joined (-qC), and a value may follow at once (-p22)."""
    for position, letter in enumerate(letters):
        if letter in _FLAGS:
            if _FLAGS[letter][0]:
                yield _FLAGS[letter]
        elif letter == "o" or letter in _VALUED:
            value = letters[position + 1 :] or next(words, "")
            if not value:
                raise ValueError(f"-{letter} lacks its value")
            yield _setting(value) if letter == "o" else _checked(_VALUED[letter], value)
            return
        else:
            raise ValueError(f"-{letter} is an option of ssh that interLink does not know")


def _setting(text: str) -> tuple[str, str]:
    """Read `Keyword=value` or `Keyword value`, as ssh_config has it."""
    match = re.fullmatch(r"\s*(\w+)(?:\s*=\s*|\s+)(\S.*?)\s*", text)
    if match is None:
        raise ValueError(f"-o {text!r} is no setting; write -o KEY=VALUE")
    return _checked(match[1].lower(), match[2].strip('"'))


def _checked(keyword: str, value: str) -> tuple[str, str]:
    return keyword, str(port(value)) if keyword == "port" else value
