"""Host names of an inventory: ranges such as `node[01:16]`, and a port after a colon; pure.

The rules are Ansible's (inventory guide, "Adding ranges of hosts"): both ends belong to the range, an end
with leading zeros is padded to its width, letters run from a to z and on from A to Z, `[a:b:step]` skips.
What Ansible drops silently, such as a range that runs backwards, is an error here.
"""

from __future__ import annotations

import itertools
import re
import string

_LARGEST = 100_000  # hosts in one pattern; more is a slip of the keyboard
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"(?P<first>-?\d+|[A-Za-z]?):(?P<last>\d+|[A-Za-z])(?::(?P<step>\d+))?")
_PORT = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]|[^:]*(?:\[[^\]]*\][^:\[]*)*):(?P<port>\d+)")
_ADDRESS6 = re.compile(r"\[([0-9A-Fa-f.]*(?::[0-9A-Fa-f.]*){2,})\]")


def expand(pattern: str) -> tuple[list[str], int | None]:
    """Return the names that a host pattern stands for, and the port if it carries one.

    >>> expand("node[08:10].rack[a:b]:2222")
    (['node08.racka', 'node08.rackb', 'node09.racka', 'node09.rackb', 'node10.racka', 'node10.rackb'], 2222)

    Raises ValueError, saying what would be right.
    """
    name, port = _split_port(pattern)
    if match := _ADDRESS6.fullmatch(name):
        return [match[1]], port
    pieces = _BRACKETS.split(name)  # text, range, text, range, ..., text
    if any(c in text for text in pieces[::2] for c in "[]"):
        raise ValueError(f"{pattern!r}: a bracket is not closed or not opened")
    choices = [[piece] if i % 2 == 0 else _members(piece) for i, piece in enumerate(pieces)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _LARGEST:
        raise ValueError(f"{pattern!r} stands for {count} hosts; the most is {_LARGEST}")
    return ["".join(parts) for parts in itertools.product(*choices)], port


def _split_port(pattern: str) -> tuple[str, int | None]:
    match = _PORT.fullmatch(pattern)
    if not match:
        return pattern, None
    port = int(match["port"])
    if not 0 < port < 65536:
        raise ValueError(f"{pattern!r}: a port is a number from 1 to 65535")
    return match["name"], port


def _members(text: str) -> list[str]:
    match = _RANGE.fullmatch(text)
    if not match:
        raise ValueError(f"[{text}] is no range; write [first:last] or [first:last:step], such as [01:16] or [a:f]")
    first, last, step = match["first"] or "0", match["last"], int(match["step"] or 1)
    if step < 1:
        raise ValueError(f"[{text}]: the step must be at least 1")
    if first.isalpha() != last.isalpha():
        raise ValueError(f"[{text}]: both ends must be numbers, or both letters")
    members = _letters(first, last, step) if first.isalpha() else _numbers(first, last, step)
    if not members:
        raise ValueError(f"[{text}] is empty: it runs backwards")
    return members


def _letters(first: str, last: str, step: int) -> list[str]:
    letters = string.ascii_letters
    return list(letters[letters.index(first) : letters.index(last) + 1 : step])


def _numbers(first: str, last: str, step: int) -> list[str]:
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    if width and len(last) != width:
        raise ValueError(f"[{first}:{last}]: with leading zeros both ends must have the same number of digits")
    span = range(int(first), int(last) + 1, step)
    if len(span) > _LARGEST:
        raise ValueError(f"[{first}:{last}] has {len(span)} members; the most is {_LARGEST}")
    return [str(number).zfill(width) for number in span]
