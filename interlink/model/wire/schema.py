"""Checks that read a JSON value as Go's encoding/json reads it into a struct.

A check takes a value and its path and returns the value that the model works with: keys of structs in
their own spelling whatever the case they came in, unknown keys kept, `null` taken as "not given". A
wrong type is an InvalidPod that names the path. Keys of maps (labels, data) are never touched.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from interlink.errors import InvalidPod
from interlink.model import quantity as quantities
from interlink.model.wire import gojson

Check = Callable[[Any, str], Any]
T = TypeVar("T")

_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


def anything(value: Any, path: str) -> Any:
    """Accept all."""
    return value


def string(value: Any, path: str) -> str:
    """Accept a string; null is the empty one."""
    return _typed("" if value is None else value, path, str)


def boolean(value: Any, path: str) -> bool:
    """Accept true and false; null is false."""
    return _typed(False if value is None else value, path, bool)


def integer(value: Any, path: str) -> int:
    """Accept a whole number of 64 bits, written without fraction or exponent; null is 0."""
    number = 0 if value is None else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise _wrong(number, path, "a whole number")
    if not -(1 << 63) <= number < 1 << 63:
        raise InvalidPod("is out of range", field=path)
    return number


def quantity(value: Any, path: str) -> Any:
    """Accept a Kubernetes quantity, string or number, and leave it as it is."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _wrong(value, path, "a quantity")
    try:
        quantities.parse(value)
    except quantities.QuantityError as error:
        raise InvalidPod(str(error), field=path) from None
    return value


def int_or_string(value: Any, path: str) -> Any:
    """Accept what Kubernetes calls IntOrString: a port by number or name, a percentage."""
    return value if isinstance(value, str) else integer(value, path)


def time(value: Any, path: str) -> Any:
    """Accept an RFC 3339 time and leave it as it is."""
    try:
        gojson.parse_time(string(value, path))
    except ValueError as error:
        raise InvalidPod(str(error), field=path) from None
    return value


def base64_data(value: Any, path: str) -> str:
    """Accept padded base64; the message never shows the data."""
    text = string(value, path)
    try:
        base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPod("must be padded base64", field=path) from None
    return text


def list_of(check: Check) -> Check:
    """Accept a list; null is the empty one, a null in it the default of its element."""

    def checked(value: Any, path: str) -> list[Any]:
        items = _typed([] if value is None else value, path, list)
        return [check(item, f"{path}[{index}]") for index, item in enumerate(items)]

    return checked


def map_of(check: Check) -> Check:
    """Accept an object whose keys are data."""

    def checked(value: Any, path: str) -> dict[str, Any]:
        items = _typed({} if value is None else value, path, dict)
        return {key: check(item, f"{path}[{key!r}]") for key, item in items.items()}

    return checked


def struct(fields: Mapping[str, Check], *, snake_case: bool = False) -> Check:
    """Accept an object with these fields; `snake_case` also takes `exit_code` for `exitCode`."""
    fold = _fold_snake if snake_case else str.lower
    spelling = {fold(name): name for name in fields}

    def checked(value: Any, path: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in _typed({} if value is None else value, path, dict).items():
            name = key if key in fields else spelling.get(fold(key))
            if name is None:
                result[key] = item
            elif item is not None:
                result[name] = fields[name](item, f"{path}.{name}" if path else name)
        return result

    return checked


def _fold_snake(key: str) -> str:
    return key.replace("_", "").lower()


def _typed(value: Any, path: str, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise _wrong(value, path, _NAMES[kind])
    return value


def _wrong(value: Any, path: str, wanted: str) -> InvalidPod:
    given = "null" if value is None else _NAMES.get(type(value), "something else")
    return InvalidPod(f"must be {wanted}, not {given}", field=path or "the body")
