"""Quantiles by DDSketch, beside NumPy's exact ones."""

from __future__ import annotations

import math
import pickle

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.blockwise.quantile_sketch import QuantileSketch, quantiles

QS = (0, 0.001, 0.25, 0.5, 0.9, 0.999, 1)


def check(values: numpy.ndarray, sketch: QuantileSketch) -> None:
    """Each quantile is no further from the exact one than the sketch promises."""
    for q in QS:
        exact = numpy.quantile(values.astype("f8"), q, method="lower")
        # The next number that there is, for the rounding of log and exp.
        assert sketch.quantile(q) == pytest.approx(exact, rel=sketch.accuracy * (1 + 1e-9), abs=5e-324)


@pytest.mark.parametrize("accuracy", [0.0001, 0.01, 0.1])
@pytest.mark.parametrize("kind", ["normal", "lognormal", "integers", "float32"])
def test_quantiles_are_as_exact_as_promised(accuracy: float, kind: str) -> None:
    random = numpy.random.default_rng(1)
    values = {
        "normal": random.normal(0, 10, 300_000),
        "lognormal": random.lognormal(3, 4, 50_000),
        "integers": random.integers(-1000, 1000, 50_000),
        "float32": random.normal(5, 1, (100, 50)).astype("f4"),
    }[kind]
    sketch = QuantileSketch(accuracy)
    sketch.add(values)
    check(values, sketch)
    assert quantiles(values, QS, accuracy=accuracy, rows=99) == [sketch.quantile(q) for q in QS]


@settings(max_examples=25)
@given(
    hypothesis_numpy.arrays("f8", st.integers(1, 50), elements=st.floats(allow_nan=False, allow_infinity=False)),
    st.integers(0, 50),
)
def test_any_numbers_are_and_merged_sketches_are_equal_to_one_of_all(values: numpy.ndarray, cut: int) -> None:
    whole, first, second = (QuantileSketch() for _ in range(3))
    whole.add(values)
    check(values, whole)
    first.add(values[:cut])
    second.add(values[cut:])
    first.merge(pickle.loads(pickle.dumps(second)))
    assert [first.quantile(q) for q in QS] == [whole.quantile(q) for q in QS]
    assert first.count == whole.count == len(values)


def test_zeros_and_infinities_are_exact() -> None:
    values = numpy.array([-math.inf, -1, 0, 0, 0, 1, math.inf])
    one = pytest.approx(1, rel=0.0101)
    assert quantiles(values, [n / 6 for n in range(7)]) == [
        -math.inf,
        pytest.approx(-1, rel=0.0101),
        0,
        0,
        0,
        one,
        math.inf,
    ]
    assert quantiles(values, 1.0) == math.inf


def test_nan_is_every_quantile_unless_it_is_left_out() -> None:
    values = numpy.array([1.0, math.nan, 3.0])
    assert math.isnan(quantiles(values, 0.5))
    assert quantiles(values, 1.0, skip_nan=True) == pytest.approx(3, rel=0.01)
    assert math.isnan(quantiles(numpy.empty(0), 0.5))


def test_a_column_of_records_has_quantiles() -> None:
    records = numpy.zeros(101, [("value", "f8")])
    records["value"] = numpy.arange(101)
    assert quantiles(records, 0.5, column="value") == pytest.approx(50, rel=0.01)


def test_all_of_float64s_numbers_take_about_a_megabyte() -> None:
    sketch = QuantileSketch()
    sketch.add(numpy.array([5e-324, 1.7e308, -5e-324, -1.7e308]))
    assert 1_000_000 < len(pickle.dumps(sketch)) < 1_500_000


def test_what_has_no_quantiles_is_refused() -> None:
    for accuracy in (0, 0.6, math.nan):
        with pytest.raises(errors.BadInput, match="^An accuracy of .* is not possible: give one from 0.0001 to 0.5.$"):
            QuantileSketch(accuracy)
    with pytest.raises(errors.BadInput, match="^There is no quantile 50: give a number from 0 to 1.$"):
        QuantileSketch().quantile(50)
    with pytest.raises(errors.BadInput, match="^Elements of complex128 have no quantiles: they are no real numbers.$"):
        QuantileSketch().add(numpy.zeros(1, "c16"))
    with pytest.raises(errors.BadInput, match="^Sketches of accuracies 0.01 and 0.02 cannot be merged.$"):
        QuantileSketch().merge(QuantileSketch(0.02))
