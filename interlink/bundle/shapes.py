"""Types of JSON values by tables, and which fields of an object need a feature; the tables are in `fields`.

A shape is `str`, `int`, `bool`, `QUANTITY`, `DATA` or `ANY`; `[shape]` is a list, `Map(shape)` an object
with free keys, `OneOf(...)` a string out of a few, a dict an object with known fields (`Partial(dict)`:
others may stand beside them), and `Needs(feature, shape)` a field that only some drivers honour. `None`
stands for an absent field everywhere. A `str` may become an argument or a path, so that NUL and halves
of surrogate pairs, which JSON can spell, are refused; `DATA` is text that becomes a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlink.errors import InvalidPod

Path = tuple[str | int, ...]

ANY = object()
QUANTITY = object()
DATA = object()

_UNFIT = re.compile("[\0\ud800-\udfff]")
_NAMES = {str: "a string", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True)
class Map:
    """An object with free keys, such as labels."""

    values: Any


@dataclass(frozen=True)
class Partial:
    """An object of which only these fields are looked at."""

    known: Mapping[str, Any]


@dataclass(frozen=True)
class OneOf:
    """A string out of a few."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Needs:
    """A field that needs `feature`, unless its value is one of `neutral`: what happens anyway.

    `false_counts`: false asks for something too (allowPrivilegeEscalation).
    """

    feature: str
    shape: Any
    neutral: tuple[Any, ...] = ()
    false_counts: bool = False


@dataclass(frozen=True)
class Use:
    """A field that asks for something: `feature`, or "" where the tables do not know the field."""

    path: Path
    feature: str


def written(path: Path) -> str:
    """Write a path as Kubernetes does.

    >>> written(("spec", "containers", 0, "image"))
    'spec.containers[0].image'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def uses(value: Any, shape: Any, path: Path = ()) -> Iterator[Use]:
    """Yield the features that the value asks for; InvalidPod for a value of another type."""
    if value is None or shape is ANY:
        return
    if isinstance(shape, Needs):
        yield from _needed(value, shape, path)
    elif isinstance(shape, list):
        for index, item in enumerate(_typed(value, list, "a list", path)):
            if item is None:
                raise InvalidPod("an item of the list is missing (null)", field=written((*path, index)))
            yield from uses(item, shape[0], (*path, index))
    elif isinstance(shape, Map):
        for key, item in _typed(value, Mapping, "an object", path).items():
            yield from uses(item, shape.values, (*path, _key(key, path)))
    elif isinstance(shape, Partial):
        known = {key: item for key, item in _typed(value, Mapping, "an object", path).items() if key in shape.known}
        yield from _fields(known, shape.known, path)
    elif isinstance(shape, Mapping):
        yield from _fields(_typed(value, Mapping, "an object", path), shape, path)
    else:
        _scalar(value, shape, path)


def without(value: Any, path: Path) -> Any:
    """Return a copy of a JSON value without one of its fields."""
    step, *rest = path
    if isinstance(value, Mapping):
        if not rest:
            return {key: item for key, item in value.items() if key != step}
        return {key: without(item, tuple(rest)) if key == step else item for key, item in value.items()}
    return [without(item, tuple(rest)) if index == step else item for index, item in enumerate(value)]


def _fields(value: Mapping[str, Any], shape: Mapping[str, Any], path: Path) -> Iterator[Use]:
    for name, item in value.items():
        if _key(name, path) in shape:
            yield from uses(item, shape[name], (*path, name))
        elif _asks(item):
            yield Use((*path, name), "")


def _needed(value: Any, shape: Needs, path: Path) -> Iterator[Use]:
    inner = list(uses(value, shape.shape, path))
    if (_asks(value) or (value is False and shape.false_counts)) and not any(value == item for item in shape.neutral):
        yield Use(path, shape.feature)
    yield from inner


def _asks(value: Any) -> bool:
    """Say whether a value is anything but nothing; 0 is something (a user id)."""
    return not (value is None or value is False or (isinstance(value, (str, Sequence, Mapping)) and not value))


def _scalar(value: Any, shape: Any, path: Path) -> None:
    field = written(path)
    if isinstance(shape, OneOf):
        if value not in shape.words:
            raise InvalidPod(f"{value!r} is none of {', '.join(shape.words)}", field=field)
    elif shape is QUANTITY:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise InvalidPod("must be a quantity", field=field)
    else:
        kind = str if shape is DATA else shape
        if isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
            hint = "; put it in quotes" if kind is str and isinstance(value, (int, float)) else ""
            raise InvalidPod(f"must be {_NAMES[kind]}{hint}", field=field)
        if shape is str and _UNFIT.search(value):
            raise InvalidPod("holds a character that cannot be passed on", field=field)


def _typed(value: Any, kind: Any, name: str, path: Path) -> Any:
    if not isinstance(value, kind):
        raise InvalidPod(f"must be {name}", field=written(path))
    return value


def _key(key: Any, path: Path) -> str:
    if not isinstance(key, str):
        raise InvalidPod(f"the key {key!r} must be a string; put it in quotes", field=written(path))
    return key
