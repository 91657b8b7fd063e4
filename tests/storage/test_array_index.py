"""Indices of arrays as text."""

from types import EllipsisType

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.storage.array_index import parse, text_of

NO_PART = (
    "is no part of a slice: write an integer, start:stop, start:stop:step or '...', with commas between the axes, "
    "as in 0:100,::2."
)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("", ()),
        ("  ", ()),
        ("3", (3,)),
        ("+3", (3,)),
        ("-1", (-1,)),
        (":", (slice(None),)),
        ("::", (slice(None),)),
        ("0:100,::2", (slice(0, 100), slice(None, None, 2))),
        (" 0 : 100 , ::-2 ", (slice(0, 100), slice(None, None, -2))),
        ("-3:", (slice(-3, None),)),
        ("3,...", (3, ...)),
        ("...", (...,)),
        ("..., 1:2", (..., slice(1, 2))),
        ("9" * 18, (10**18 - 1,)),
    ],
)
def test_a_text_is_an_index(text: str, index: tuple[int | slice | EllipsisType, ...]) -> None:
    assert parse(text) == index


@pytest.mark.parametrize(
    "part", ["x", "1.5", "1:2:3:4", "....", "..", "None", "'a'", "1 2x", "[0]", "0x10", "1_000", "9" * 19, "٣", "--1"]
)
def test_anything_else_is_bad_input(part: str) -> None:
    for text in (part, f":,{part}"):
        with pytest.raises(BadInput) as caught:
            parse(text)
        assert str(caught.value) == f"{part!r} {NO_PART}"


@pytest.mark.parametrize("text", [",", "1,", ",1", "1,,2"])
def test_a_part_that_is_missing_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert str(caught.value) == f"'' {NO_PART}"


def test_digits_with_a_space_between_are_no_number() -> None:
    with pytest.raises(BadInput) as caught:
        parse("1 2")
    assert str(caught.value) == f"'1 2' {NO_PART}"


def test_a_long_part_is_shown_in_short() -> None:
    with pytest.raises(BadInput) as caught:
        parse("x" * 10_000)
    assert str(caught.value) == f"{'x' * 100!r} {NO_PART}"


def test_a_hundred_thousand_spaces_cost_no_more_than_reading_them() -> None:
    """By a pattern that may share spaces out between two places it would be minutes, in which nothing else runs."""
    spaces = " " * 100_000
    assert parse(f"1{spaces}:{spaces}2") == (slice(1, 2),)
    with pytest.raises(BadInput) as caught:
        parse(f"1:{spaces}x")
    assert str(caught.value) == f"{'1:' + ' ' * 98!r} {NO_PART}"


def test_a_step_of_0_is_bad_input() -> None:
    with pytest.raises(BadInput) as caught:
        parse("1,::0")
    assert str(caught.value) == "The part '::0' of a slice has a step of 0: take 1 or more, or less than 0."


def test_two_ellipses_are_bad_input() -> None:
    with pytest.raises(BadInput) as caught:
        parse("...,1,...")
    assert str(caught.value) == "The slice '...,1,...' has '...' more than once: it stands for all other axes."
    with pytest.raises(BadInput) as caught:
        parse(f"...,{' ' * 1000}...")
    assert str(caught.value) == (
        f"The slice {'...,' + ' ' * 96!r} has '...' more than once: it stands for all other axes."
    )


def test_more_parts_than_axes_that_numpy_has_are_bad_input() -> None:
    assert len(parse(",".join(["0"] * 32))) == 32
    with pytest.raises(BadInput) as caught:
        parse(",".join(["0"] * 33))
    assert str(caught.value) == "The slice has 33 parts: no array has more than 32 axes."


@given(data=st.data())
def test_the_text_of_any_basic_index_selects_what_the_index_does(data: st.DataObject) -> None:
    shape = data.draw(hypothesis_numpy.array_shapes(max_dims=3, max_side=5))
    index = data.draw(hypothesis_numpy.basic_indices(shape))
    index = index if isinstance(index, tuple) else (index,)
    assert parse(text_of(index)) == index
    array = numpy.arange(numpy.prod(shape)).reshape(shape)
    assert numpy.array_equal(array[parse(text_of(index))], array[index])
