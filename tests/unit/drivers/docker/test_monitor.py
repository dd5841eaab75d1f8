"""The records of podman's monitor become the container's output again."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlink.drivers.docker.monitor import Records, utc

T1, T2, T3 = (f"2026-11-22T19:23:23.00000000{n}+02:00" for n in (1, 2, 3))
Z1, Z2, Z3 = (f"2026-11-22T17:23:23.00000000{n}Z" for n in (1, 2, 3))
FILE = f"{T1} stdout F one\n{T2} stderr P tw\n{T2} stderr F o\n{T3} stdout F \n".encode()


def read(content: bytes, since: str = "", *, timestamps: bool = False) -> bytes:
    return Records(since, timestamps=timestamps).text(content)


def test_pieces_are_joined_and_lines_kept() -> None:
    assert read(FILE) == b"one\ntwo\n\n"


def test_a_piece_is_passed_on_before_its_line_ends() -> None:
    assert read(f"{T1} stdout P 50%\n".encode()) == b"50%"


def test_times_are_those_of_utc_and_one_for_each_line() -> None:
    assert read(FILE, timestamps=True) == f"{Z1} one\n{Z2} two\n{Z3} \n".encode()


@pytest.mark.parametrize(("since", "want"), [(Z1, b"one\ntwo\n\n"), (Z2, b"two\n\n"), (T3, b"\n"), (Z3, b"\n")])
def test_a_record_of_the_very_time_is_meant(since: str, want: bytes) -> None:
    assert read(FILE, since) == want


def test_a_time_with_fewer_digits_comes_before_its_parts() -> None:
    assert utc("2026-11-22T17:23:23Z") < utc("2026-11-22T17:23:23.5Z") < utc("2026-11-22T17:23:23.51+00:00")


def test_after_the_first_record_that_is_meant_all_are() -> None:
    """A host's clock that is set back hides nothing."""
    assert read(f"{T2} stdout F a\n{T1} stdout F b\n".encode(), Z2) == b"a\nb\n"


def test_a_time_that_there_is_not_stays_as_it_is() -> None:
    assert read(b"2026-99-22T19:23:23.1+02:00 stdout F a\n", timestamps=True).endswith(b" a\n")


def test_what_is_no_record_is_not_lost() -> None:
    assert read(b"conmon: out of luck\n" + FILE) == b"conmon: out of luck\none\ntwo\n\n"


@given(st.lists(st.integers(0, len(FILE))))
def test_chunks_may_be_cut_anywhere(cuts: list[int]) -> None:
    records, edges = Records("", timestamps=True), [0, *sorted(cuts), len(FILE)]
    got = b"".join(records.text(FILE[a:b]) for a, b in itertools.pairwise(edges))
    assert got == read(FILE, timestamps=True)
