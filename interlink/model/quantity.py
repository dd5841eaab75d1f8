"""Kubernetes quantities ("500m", "2Gi", "1e3"), exactly.

The grammar is Kubernetes' own (k8s.io/apimachinery, resource.Quantity): a sign, a decimal number and one
of a binary suffix (Ki to Ei), a decimal one (n to E) or a decimal exponent. Nothing is rounded before a
caller asks for whole millicores or bytes, and those round up, as Kubernetes does, so that nobody gets
less than what was asked for.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from interlink.errors import InputError

_BINARY = {suffix: Fraction(1024**power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {
    suffix: Fraction(10) ** power
    for suffix, power in {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}.items()
}
_SCALE = {**_BINARY, **_DECIMAL}

# The lengths are bounded because a quantity comes from strangers: "1e999999999" would fill the memory.
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40}))"
    r"(?:(?P<suffix>[KMGTPE]i|[numkMGTPE]?)|[eE](?P<exponent>[+-]?[0-9]{1,2}))"
)


class QuantityError(InputError, ValueError):
    """A text that is no quantity, or a quantity where it makes no sense."""


def parse(text: str | int | float) -> Fraction:
    """Return a quantity's exact value.

    Numbers are taken as YAML gives them (`cpu: 2`, `cpu: 0.5`). Raises QuantityError.

    >>> parse("500m"), parse("2Gi"), parse("1e3"), parse(0.1)
    (Fraction(1, 2), Fraction(2147483648, 1), Fraction(1000, 1), Fraction(1, 10))
    """
    match = None if isinstance(text, bool) else _QUANTITY.fullmatch(str(text))
    if match is None:
        raise QuantityError(
            f'{text!r} is not a quantity; write a number with a unit, such as "500m", "2", "512Mi" or "4G"'
        )
    number = Fraction(match["number"].rstrip("."))
    if match["exponent"]:
        return number * Fraction(10) ** int(match["exponent"])
    return number * _SCALE[match["suffix"]]


def millicores(value: str | int | float) -> int:
    """Return a CPU quantity in thousandths of a core, rounded up; QuantityError also if it is negative."""
    return _whole(value, Fraction(1000))


def to_bytes(value: str | int | float) -> int:
    """Return a memory or storage quantity in bytes, rounded up; QuantityError also if it is negative."""
    return _whole(value, Fraction(1))


def format_cpu(cores: Fraction | int | float) -> str:
    """Write a number of cores as Kubernetes does, rounded up to millicores.

    >>> format_cpu(2), format_cpu(0.5)
    ('2', '500m')
    """
    milli = math.ceil(Fraction(str(cores)) * 1000)
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def format_memory(size: Fraction | int) -> str:
    """Write bytes with the greatest binary suffix that loses nothing, as Kubernetes does.

    >>> format_memory(2 << 30), format_memory(1536 << 20), format_memory(1000)
    ('2Gi', '1536Mi', '1000')
    """
    count = math.ceil(size)
    for suffix, scale in reversed(_BINARY.items()):
        if count and count % scale == 0:
            return f"{count // int(scale)}{suffix}"
    return str(count)


def _whole(value: str | int | float, unit: Fraction) -> int:
    exact = parse(value)
    if exact < 0:
        raise QuantityError(f"{value!r} is negative")
    return math.ceil(exact * unit)
