"""Quantities against a table of Kubernetes' own cases, and properties over generated ones."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlink.errors import InputError
from interlink.model import quantity

CASES = {
    "0": Fraction(0),
    "100m": Fraction(1, 10),
    "1n": Fraction(1, 10**9),
    "1u": Fraction(1, 10**6),
    "+5": Fraction(5),
    "-5": Fraction(-5),
    ".5": Fraction(1, 2),
    "5.": Fraction(5),
    "0.5Gi": Fraction(1 << 29),
    "1Ki": Fraction(1024),
    "1Ei": Fraction(1 << 60),
    "1k": Fraction(1000),
    "1E": Fraction(10**18),
    "1E3": Fraction(1000),
    "1e3": Fraction(1000),
    "1e-3": Fraction(1, 1000),
    "12.5e+1": Fraction(125),
    "9007199254740993": Fraction(9007199254740993),  # beyond what a float can hold
}

WRONG = [
    "",
    " ",
    "1 Gi",
    "1gi",
    "1K",
    "Gi",
    "1mi",
    "1ki",
    "abc",
    "1..2",
    "--1",
    "1e",
    "1e999",
    "0x10",
    "1,5",
    "١",
    "1\n",
    "inf",
    "nan",
]


@pytest.mark.parametrize(("text", "value"), CASES.items())
def test_parse(text: str, value: Fraction) -> None:
    assert quantity.parse(text) == value


@pytest.mark.parametrize("text", WRONG)
def test_wrong_text_is_refused(text: str) -> None:
    with pytest.raises(quantity.QuantityError, match="is not a quantity"):
        quantity.parse(text)


def test_the_error_is_the_users_and_a_value_error() -> None:
    assert issubclass(quantity.QuantityError, InputError)
    assert issubclass(quantity.QuantityError, ValueError)
    with pytest.raises(quantity.QuantityError):
        quantity.parse(True)


@pytest.mark.parametrize(
    ("value", "expected"), [("0.1m", 1), ("1.0001", 1001), (2, 2000), (0.1, 100), ("1n", 1), ("0", 0)]
)
def test_millicores_round_up(value: str | float, expected: int) -> None:
    assert quantity.millicores(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1.5Ki", 1536), ("1m", 1), ("128974848", 128974848), ("129e6", 129000000), ("123Mi", 128974848)],
)
def test_bytes_round_up(value: str, expected: int) -> None:
    assert quantity.to_bytes(value) == expected


@pytest.mark.parametrize("convert", [quantity.millicores, quantity.to_bytes])
def test_negative_amounts_are_refused(convert: object) -> None:
    with pytest.raises(quantity.QuantityError, match="negative"):
        convert("-1")  # type: ignore[operator]


@given(st.integers(0, 10**9))
def test_cpu_survives_its_format(milli: int) -> None:
    assert quantity.millicores(quantity.format_cpu(Fraction(milli, 1000))) == milli


@given(st.integers(0, 1 << 63))
def test_memory_survives_its_format(size: int) -> None:
    assert quantity.to_bytes(quantity.format_memory(size)) == size


@given(
    st.decimals(-(10**12), 10**12, places=6),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "e3", "E-3"]),
)
def test_decimal_suffixes_only_move_the_point(number: object, suffix: str) -> None:
    powers = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "e3": 3, "E-3": -3}
    assert quantity.parse(f"{number:f}{suffix}") == Fraction(f"{number:f}") * Fraction(10) ** powers[suffix]


@given(st.text(max_size=12))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(quantity.QuantityError):
        assert quantity.parse(text).denominator > 0
