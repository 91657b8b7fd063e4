"""Statistics over blocks, beside NumPy's of all elements at once."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.blockwise.statistics import NAMES, PIECE, Summary, histogram, statistics

RANDOM = numpy.random.default_rng(1)


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", ">i4", "f2", "f4", ">f8", "g"])
@pytest.mark.parametrize("axis", [None, 0])
def test_they_are_numpys(dtype: str, axis: int | None) -> None:
    values = RANDOM.normal(50, 20, (5000, 7)).astype(dtype)
    found = statistics(values, axis=axis, rows=999)
    exact = values.astype("g")
    for name in ("min", "max"):
        assert numpy.array_equal(found[name], getattr(values, name)(axis))
    for name in ("mean", "std"):
        numpy.testing.assert_allclose(found[name].astype("g"), getattr(exact, name)(axis), rtol=1e-14)
    assert found["count"] == (values.size if axis is None else 5000)


def test_a_small_deviation_beside_a_large_mean_is_exact() -> None:
    """Where the sum of squares minus the square of the sum has no digit left."""
    values = RANDOM.normal(0, 1, 3 * PIECE) + 1e9
    mean = math.fsum(values) / len(values)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    found = statistics(values, ("mean", "std"), rows=100_001)
    assert found["mean"] == pytest.approx(mean, rel=1e-15)
    assert found["std"] == pytest.approx(std, rel=1e-9)


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("axis", [None, 0])
def test_which_blocks_there_are_makes_no_difference_beyond_rounding(rows: int, axis: int | None) -> None:
    values = RANDOM.normal(3, 2, (200, 3))
    found = statistics(values, rows=rows, axis=axis)
    numpy.testing.assert_allclose(found["mean"], values.mean(axis), rtol=1e-14)
    numpy.testing.assert_allclose(found["std"], values.std(axis), rtol=1e-14)


@pytest.mark.parametrize("axis", [None, 0])
def test_nan_is_in_all_unless_it_is_left_out(axis: int | None) -> None:
    values = RANDOM.normal(3, 2, (200, 3))
    values[5, 1] = values[150, 1] = values[199, 2] = math.nan
    found = statistics(values, NAMES, rows=70, axis=axis)
    for name in ("min", "max", "mean", "std"):
        numpy.testing.assert_allclose(found[name], getattr(values, name)(axis), rtol=1e-14)
    assert numpy.array_equal(found["nan_count"], numpy.isnan(values).sum(axis))
    assert found["count"] == (600 if axis is None else 200)
    found = statistics(values, NAMES, rows=70, axis=axis, skip_nan=True)
    for name in ("min", "max", "mean", "std"):
        numpy.testing.assert_allclose(found[name], getattr(numpy, f"nan{name}")(values, axis), rtol=1e-14)
    assert numpy.array_equal(found["nan_count"], numpy.isnan(values).sum(axis))
    assert numpy.array_equal(found["count"], (~numpy.isnan(values)).sum(axis))


def test_where_all_is_nan_there_is_nothing_left() -> None:
    values = numpy.full((10, 2), math.nan)
    values[3, 0] = 4
    found = statistics(values, NAMES, axis=0, skip_nan=True, rows=3)
    assert found["count"].tolist() == [1, 0]
    for name in ("min", "max", "mean"):
        numpy.testing.assert_equal(found[name], [4, math.nan])
    numpy.testing.assert_equal(found["std"], [0, math.nan])


def test_infinity_is_as_numpy_has_it() -> None:
    values = numpy.array([1.0, math.inf, 2.0, 3.0])
    found = statistics(values, rows=1)
    assert (found["min"], found["max"], found["mean"]) == (1, math.inf, math.inf)
    assert math.isnan(found["std"])
    values[3] = -math.inf
    assert math.isnan(statistics(values, rows=1)["mean"])


@pytest.mark.parametrize("axis", [None, 0])
def test_of_no_elements_all_is_nan(axis: int | None) -> None:
    found = statistics(numpy.empty((0, 2)), NAMES, axis=axis)
    assert (found["count"], found["nan_count"]) == (0, 0)
    for name in ("min", "max", "mean", "std"):
        assert numpy.shape(found[name]) == (() if axis is None else (2,))
        assert numpy.isnan(found[name]).all()
    assert numpy.isnat(statistics(numpy.empty(0, "M8[s]"), ("min",))["min"])


def test_times_have_a_first_and_a_last() -> None:
    values = numpy.array(["2026-01-01", "NaT", "2025-01-01"], "M8[s]")
    found = statistics(values, ("count", "nan_count", "min", "max"), skip_nan=True, rows=2)
    assert found == {"count": 2, "nan_count": 1, "min": values[2], "max": values[0]}
    assert numpy.isnat(statistics(values, ("min",))["min"])


def test_complex_numbers_have_a_mean_and_a_deviation() -> None:
    values = RANDOM.normal(0, 1, 1000) + 1j * RANDOM.normal(5, 1, 1000)
    found = statistics(values, ("mean", "std"), rows=99)
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-13)
    assert found["std"] == pytest.approx(values.std(), rel=1e-13)


def test_a_column_of_records_is_named() -> None:
    records = numpy.zeros(100, [("time", "M8[s]"), ("value", "f4", (2,))])
    records["value"] = numpy.arange(200).reshape(100, 2)
    found = statistics(records, ("mean", "max"), column="value", axis=0, rows=30)
    assert (found["mean"].tolist(), found["max"].tolist()) == ([99, 100], [198, 199])


def test_nothing_is_computed_that_is_not_asked_for() -> None:
    assert list(statistics(numpy.zeros(3), ("std", "count"))) == ["std", "count"]
    assert statistics(numpy.zeros(3, "M8[s]"), ("count",)) == {"count": 3}


@pytest.mark.parametrize(
    ("dtype", "options", "message"),
    [
        (
            "f8",
            {"names": ["median"]},
            "There is no statistic 'median': there are count, nan_count, min, max, mean, std.",
        ),
        ("f8", {"axis": 1}, "Statistics are over all elements (axis=None) or over the rows (axis=0), not 1."),
        ("M8[s]", {"names": ["std"]}, "Elements of datetime64[s] have no std."),
        ("c16", {"names": ["min"]}, "Elements of complex128 have no min."),
        ("S3", {"names": ["mean"]}, "Elements of |S3 have no mean."),
        ("f8", {"column": "a"}, "Of an array of float64, column 'a' is asked for. It has no columns."),
        (
            [("a", "f8")],
            {"column": "b"},
            "Of an array of [('a', '<f8')], column 'b' is asked for. Name one of its columns: a.",
        ),
        ([("a", "f8")], {}, "Of an array of [('a', '<f8')], column None is asked for. Name one of its columns: a."),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_read(
    dtype: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.BadInput) as caught:
        statistics(Unread(dtype), **options)
    assert str(caught.value) == message


class Unread:
    """An array that fails when it is read."""

    shape = (10,)

    def __init__(self, dtype: Any) -> None:
        self.dtype = numpy.dtype(dtype)


@given(
    hypothesis_numpy.arrays("f8", st.integers(0, 40), elements=st.floats(-1e6, 1e6) | st.just(math.nan)),
    st.integers(0, 40),
    st.booleans(),
)
def test_summaries_are_merged_to_that_of_all(values: numpy.ndarray, cut: int, skip_nan: bool) -> None:
    whole, first, second = (Summary(skip_nan=skip_nan) for _ in range(3))
    whole.add(values)
    first.add(values[:cut])
    second.add(values[cut:])
    first.merge(pickle.loads(pickle.dumps(second)))
    expected, found = whole.result(), first.result()
    for name in ("count", "nan_count", "min", "max"):
        numpy.testing.assert_equal(found[name], expected[name])
    numpy.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-12, atol=1e-9)
    numpy.testing.assert_allclose(found["std"], expected["std"], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", ["f8", "i4", "f4", "u1"])
@pytest.mark.parametrize(
    "options", [{}, {"bins": 37}, {"bins": [0, 1, 5, 100]}, {"bins": 5, "range": (-10, 10)}], ids=str
)
def test_a_histogram_is_numpys(dtype: str, options: dict[str, Any]) -> None:
    values = RANDOM.normal(5, 20, (300, 4)).astype(dtype)
    counts, edges = histogram(values, rows=70, **options)
    expected = numpy.histogram(values, **options)
    assert numpy.array_equal(counts, expected[0])
    assert numpy.array_equal(edges, expected[1])


def test_nan_is_in_no_bin_and_a_range_is_not_guessed_from_it() -> None:
    values = numpy.array([1.0, math.nan, 3.0])
    with pytest.raises(errors.BadInput, match="^The elements reach from nan to nan, .* Give a range, or skip_nan=True"):
        histogram(values)
    assert histogram(values, 2, skip_nan=True)[0].tolist() == [1, 1]
    assert histogram(values, 2, (0, 2))[0].tolist() == [0, 1]
    with pytest.raises(errors.BadInput, match="^These are no bins: `bins` must increase monotonically"):
        histogram(values, [3, 2, 1])
    assert histogram(numpy.empty(0), 3)[0].tolist() == [0, 0, 0]
    assert histogram(numpy.array([True, False, True]), 2)[0].tolist() == [1, 2]
