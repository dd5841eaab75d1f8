"""Prometheus' text format 0.0.4; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Sample:
    """One figure; `at` is when it was taken, if that is not now. Labels are written in their order."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True)
class Family:
    """All figures of one name."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: tuple[Sample, ...]


def text(families: Iterable[Family]) -> str:
    """Write families; one without samples is left out."""
    return "".join(line for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.help}\n"
    yield f"# TYPE {family.name} {family.kind}\n"
    for sample in family.samples:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
        at = "" if sample.at is None else f" {round(sample.at.timestamp() * 1000)}"
        yield (
            f"{family.name}{{{labels}}} {_number(sample.value)}{at}\n"
            if labels
            else (f"{family.name} {_number(sample.value)}{at}\n")
        )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    """Write a number so that none of its digits is lost and none is made up.

    >>> _number(3), _number(0.1), _number(1750000000.123456), _number(2.0 ** 40)
    ('3', '0.1', '1750000000.123456', '1099511627776')
    """
    return str(int(value)) if value == int(value) else repr(float(value))
