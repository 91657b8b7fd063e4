"""Quantiles of arrays of any size, in one pass and a few kilobytes: DDSketch.

Masson, Rim and Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees" (VLDB 2019).
An element x > 0 is counted in bin ceil(log x / log g) with g = (1 + a) / (1 - a); the bin's middle differs from each
element in it by at most the share `a` of that. So a quantile differs by no more than that share from the element that
`numpy.quantile(..., method="lower")` gives: 1 % unless told otherwise. Signs, zeros and infinities are kept apart and
exact. A sketch of all numbers that float64 has takes 142,000 bins, or 1.1 MB, at 1 %; mostly it takes a few thousand,
so that none are ever collapsed.

Which blocks an array comes in, and in which order sketches are merged, makes no difference to the result.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy

from .. import errors
from .blocks import Readable, iter_blocks
from .statistics import column_of

ACCURACY = 0.01

PIECE = 128 * 1024
"""Elements computed with at a time."""

_LARGEST = math.log(sys.float_info.max)


def quantiles(
    array: Readable,
    q: float | Sequence[float],
    *,
    accuracy: float = ACCURACY,
    column: str | None = None,
    skip_nan: bool = False,
    **blocks: Any,
) -> Any:
    """The quantiles of all elements of an array, for one number from 0 to 1 or several: see `QuantileSketch.quantile`.

    `column`: of an array of records. `blocks`: what `iter_blocks` takes.
    """
    sketch = QuantileSketch(accuracy, skip_nan=skip_nan)
    for each in iter_blocks(array, **blocks):
        sketch.add(column_of(each.data, column))
    return sketch.quantile(q) if isinstance(q, (int, float)) else [sketch.quantile(each) for each in q]


class QuantileSketch:
    """Counts of elements by their size. Two of one accuracy can be merged, and it can be pickled."""

    def __init__(self, accuracy: float = ACCURACY, *, skip_nan: bool = False) -> None:
        """`accuracy`: how much of a value it may be wrong by, 0.01 for one per cent."""
        if not 1e-4 <= accuracy <= 0.5:
            raise errors.BadInput(f"An accuracy of {accuracy} is not possible: give one from 0.0001 to 0.5.")
        self.accuracy = accuracy
        self.count = 0
        """How many elements there are, NaN among them unless they are left out."""
        self.nan_count = 0
        self._skip_nan = skip_nan
        self._ends = [0, 0, 0]
        """How many are minus infinity, zero, and infinity."""
        self._below, self._above = _Bins(), _Bins()

    def add(self, data: numpy.ndarray) -> None:
        """Add the elements of an array. BadInput: they are no real numbers."""
        if data.dtype.kind not in "biuf":
            raise errors.BadInput(f"Elements of {data.dtype} have no quantiles: they are no real numbers.")
        flat = data.reshape(-1)
        for begin in range(0, len(flat), PIECE):
            self._add(flat[begin : begin + PIECE].astype(numpy.float64))

    def merge(self, other: QuantileSketch) -> None:
        """Add all that was added to another one. BadInput: it has another accuracy."""
        if other.accuracy != self.accuracy:
            raise errors.BadInput(f"Sketches of accuracies {self.accuracy} and {other.accuracy} cannot be merged.")
        self.count += other.count
        self.nan_count += other.nan_count
        self._ends = [mine + theirs for mine, theirs in zip(self._ends, other._ends, strict=True)]
        self._below.merge(other._below)
        self._above.merge(other._above)

    def quantile(self, q: float) -> float:
        """The element that a share `q` of all others are not above, to within `accuracy` of its value.

        NaN of no elements, and where NaN is among them and not left out. BadInput: `q` is not from 0 to 1.
        """
        if not 0 <= q <= 1:
            raise errors.BadInput(f"There is no quantile {q}: give a number from 0 to 1.")
        if not self.count or (self.nan_count and not self._skip_nan):
            return math.nan
        rank = math.floor(q * (self.count - 1))
        for count, value in (
            (self._ends[0], lambda rank: -math.inf),
            (self._below.count, lambda rank: -self._value(self._below.find(self._below.count - 1 - rank))),
            (self._ends[1], lambda rank: 0.0),
            (self._above.count, lambda rank: self._value(self._above.find(rank))),
        ):
            if rank < count:
                return value(rank)
            rank -= count
        return math.inf

    def _add(self, values: numpy.ndarray) -> None:
        is_nan = numpy.isnan(values)
        nan_count = int(numpy.count_nonzero(is_nan))
        if nan_count:
            self.nan_count += nan_count
            values = values[~is_nan]
        self.count += len(values) + (0 if self._skip_nan else nan_count)
        size = abs(values)
        is_apart = (size == 0) | numpy.isinf(size)
        if is_apart.any():
            for position, end in enumerate((-math.inf, 0.0, math.inf)):
                self._ends[position] += int(numpy.count_nonzero(values == end))
            values, size = values[~is_apart], size[~is_apart]
        numbers = numpy.ceil(numpy.log(size) / self._log_base()).astype(numpy.int64)
        is_below = values < 0
        self._below.add(numbers[is_below])
        self._above.add(numbers[~is_below])

    def _log_base(self) -> float:
        return math.log1p(self.accuracy) - math.log1p(-self.accuracy)

    def _value(self, number: int) -> float:
        """What is not further than the accuracy from any element of a bin."""
        logarithm = number * self._log_base() + math.log1p(-self.accuracy)
        return math.exp(min(logarithm, _LARGEST))


class _Bins:
    """How many elements there are in each of a range of bins."""

    def __init__(self) -> None:
        self.count = 0
        self._first = 0
        self._counts = numpy.zeros(0, numpy.int64)

    def add(self, numbers: numpy.ndarray) -> None:
        """Count bins by their numbers."""
        if len(numbers):
            first = int(numbers.min())
            self._add(first, numpy.bincount(numbers - first))

    def merge(self, other: _Bins) -> None:
        """Count what another has counted."""
        if other.count:
            self._add(other._first, other._counts)

    def find(self, rank: int) -> int:
        """The number of the bin with the element of a rank, counted from 0."""
        return self._first + int(numpy.searchsorted(self._counts.cumsum(), rank, "right"))

    def _add(self, first: int, counts: numpy.ndarray) -> None:
        if not self.count:
            self._first = first
        begin = min(self._first, first)
        end = max(self._first + len(self._counts), first + len(counts))
        if end - begin != len(self._counts):
            grown = numpy.zeros(end - begin, numpy.int64)
            grown[self._first - begin :][: len(self._counts)] = self._counts
            self._first, self._counts = begin, grown
        self._counts[first - begin :][: len(counts)] += counts
        self.count += int(counts.sum())
