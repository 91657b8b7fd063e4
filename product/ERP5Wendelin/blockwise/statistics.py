"""Statistics of arrays of any size, in one pass over their blocks: count, min, max, mean, std; histograms.

Mean and standard deviation are made of pieces that fit in the processor's cache, each in two passes over it as NumPy's
are, and combined as Chan, Golub and LeVeque have it ("Updating Formulae and a Pairwise Algorithm for Computing Sample
Variances", 1979): exact to rounding, also where the mean is large beside the deviation. In float64 at the least.

NaN (and NaT) are as in NumPy: what has one among its elements is NaN, and no bin of a histogram has any. With
`skip_nan` they are left out; `nan_count` says how many there were. The standard deviation is that of the population, as
`numpy.std` has it: the squares' sum is divided by the count. Of no elements all is NaN.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy

from .. import errors
from .blocks import Readable, iter_blocks

NAMES = ("count", "nan_count", "min", "max", "mean", "std")

PIECE = 128 * 1024
"""Elements computed with at a time: 1 MiB of float64, and as much for the deviations."""


def statistics(
    array: Readable,
    names: Collection[str] = ("count", "min", "max", "mean", "std"),
    *,
    axis: int | None = None,
    column: str | None = None,
    skip_nan: bool = False,
    **blocks: Any,
) -> dict[str, Any]:
    """Some of NAMES over all elements of an array, or, with `axis=0`, over its rows; no other are computed.

    `column`: of an array of records. `blocks`: what `iter_blocks` takes. BadInput: what the dtype does not have.
    """
    summary = Summary(names, axis=axis, skip_nan=skip_nan)
    empty = numpy.empty((0, *array.shape[1:]), array.dtype)
    summary.add(column_of(empty, column))
    for each in iter_blocks(array, **blocks):
        summary.add(column_of(each.data, column))
    return summary.result()


def histogram(
    array: Readable,
    bins: int | Any = 10,
    range: tuple[float, float] | None = None,
    *,
    column: str | None = None,
    skip_nan: bool = False,
    **blocks: Any,
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """How many elements each bin has, and the edges of the bins, as `numpy.histogram` of all at once gives them.

    Without a `range`, and unless `bins` are edges, the array is read twice: first for its least and its greatest
    element, which NaN has none beside, unless `skip_nan`. BadInput: those, or the bins, are no numbers.
    """
    if range is None and numpy.ndim(bins) == 0:
        found = statistics(array, ("count", "min", "max"), column=column, skip_nan=skip_nan, **blocks)
        bounds = numpy.array([found["min"], found["max"]] if found["count"] else [0.0, 1.0])
        range = tuple(bounds.view(numpy.uint8) if bounds.dtype.kind == "b" else bounds)
        if not numpy.isfinite(range).all():
            raise errors.BadInput(
                f"The elements reach from {range[0]} to {range[1]}, which no bins can be made of. "
                "Give a range, or skip_nan=True if it is NaN that is in the way."
            )
    try:
        edges = numpy.histogram_bin_edges(_countable(column_of(numpy.empty(0, array.dtype), column)), bins, range)
    except (TypeError, ValueError) as error:
        raise errors.BadInput(f"These are no bins: {error}") from error
    counts = numpy.zeros(len(edges) - 1, numpy.int64)
    for each in iter_blocks(array, **blocks):
        counts += numpy.histogram(_countable(column_of(each.data, column)), bins, range)[0]
    return counts, edges


def _countable(data: numpy.ndarray) -> numpy.ndarray:
    """Elements that bins are for: no NaN, and truth as 0 and 1."""
    if data.dtype.kind == "b":
        return data.view(numpy.uint8)
    return data[~numpy.isnan(data)] if data.dtype.kind == "f" else data


def column_of(data: numpy.ndarray, name: str | None) -> numpy.ndarray:
    """A column of records; what is no record, as it is."""
    names = data.dtype.names or ()
    if (name is None) == (not names) and (name is None or name in names):
        return data if name is None else data[name]
    known = f"Name one of its columns: {', '.join(names)}." if names else "It has no columns."
    raise errors.BadInput(f"Of an array of {data.dtype}, column {name!r} is asked for. {known}")


class Summary:
    """Some of NAMES over what is added, block by block. Two of them can be merged, and it can be pickled."""

    def __init__(self, names: Collection[str] = NAMES, *, axis: int | None = None, skip_nan: bool = False) -> None:
        """`axis`: None for one result over all elements, 0 for one over the rows for each element of a row."""
        unknown = [name for name in names if name not in NAMES]
        if unknown:
            raise errors.BadInput(f"There is no statistic {unknown[0]!r}: there are {', '.join(NAMES)}.")
        if axis not in (None, 0):
            raise errors.BadInput(
                f"Statistics are over all elements (axis=None) or over the rows (axis=0), not {axis!r}."
            )
        self._names = tuple(names)
        self._axis = axis
        self._skip_nan = skip_nan
        self._empty: Any = None
        """No elements, of the shape and dtype of a result."""
        self._count: Any = 0
        self._nan_count: Any = 0
        self._least: Any = None
        self._greatest: Any = None
        self._mean: Any = 0.0
        self._squares: Any = 0.0
        """The sum of the squares of the deviations from the mean."""
        self._sum: Any = 0.0
        """For what is not finite, of which the formula for means makes NaN too soon."""

    def add(self, data: numpy.ndarray) -> None:
        """Add the rows of a block. BadInput: their dtype does not have all that is asked for."""
        if self._empty is None:
            self._check(data.dtype)
            self._empty = numpy.empty(() if self._axis is None else data.shape[1:], data.dtype)
        if self._axis is None:
            data = data.reshape(-1)
        step = max(PIECE // max(self._empty.size, 1), 1)
        with numpy.errstate(invalid="ignore", over="ignore"):
            for begin in range(0, len(data), step):
                self._add(data[begin : begin + step])

    def merge(self, other: Summary) -> None:
        """Add all that was added to another one of the same names."""
        self._empty = other._empty if self._empty is None else self._empty
        self._note_extremes(other._least, other._greatest)
        self._nan_count = self._nan_count + other._nan_count
        with numpy.errstate(invalid="ignore", over="ignore"):
            self._combine(other._count, other._mean, other._squares, other._sum)

    def result(self) -> dict[str, Any]:
        """What was asked for, by name."""
        with numpy.errstate(invalid="ignore", divide="ignore"):
            count = numpy.full(() if self._empty is None else self._empty.shape, self._count, float)
            mean = numpy.where(numpy.isfinite(self._mean) & (count > 0), self._mean, self._sum / count)
            found = {
                "count": self._count,
                "nan_count": self._nan_count,
                "min": self._missing() if self._least is None else self._least,
                "max": self._missing() if self._greatest is None else self._greatest,
                "mean": mean[()],
                "std": numpy.sqrt(self._squares / count)[()],
            }
        return {name: found[name] for name in self._names}

    def _check(self, dtype: numpy.dtype) -> None:
        lacking = {"c": ("min", "max"), "m": ("mean", "std"), "M": ("mean", "std")}.get(
            dtype.kind, () if dtype.kind in "biuf" else NAMES
        )
        for name in self._names:
            if name in lacking:
                raise errors.BadInput(f"Elements of {dtype} have no {name}.")

    def _add(self, piece: numpy.ndarray) -> None:
        """Add elements, or rows, that are computed with at once."""
        valid: Any = True
        if (self._skip_nan or "nan_count" in self._names) and piece.dtype.kind in "fcmM":
            is_nan = numpy.isnat(piece) if piece.dtype.kind in "mM" else numpy.isnan(piece)
            self._nan_count = self._nan_count + is_nan.sum(axis=0)
            if self._skip_nan and is_nan.any():
                valid = ~is_nan
        if {"min", "max"} & set(self._names):
            least, greatest = (numpy.fmin, numpy.fmax) if self._skip_nan else (numpy.minimum, numpy.maximum)
            self._note_extremes(least.reduce(piece), greatest.reduce(piece))
        count = len(piece) if valid is True else valid.sum(axis=0)
        if not {"mean", "std"} & set(self._names):
            self._count = self._count + count
            return
        values = piece.astype(numpy.result_type(piece, numpy.float64), copy=False)
        total = numpy.add.reduce(values, where=valid)
        mean = total / numpy.maximum(count, 1)
        self._combine(count, mean, _squares(values, mean, valid), total)

    def _note_extremes(self, least: Any, greatest: Any) -> None:
        first, second = (numpy.fmin, numpy.fmax) if self._skip_nan else (numpy.minimum, numpy.maximum)
        if least is not None:
            self._least = least if self._least is None else first(self._least, least)
            self._greatest = greatest if self._greatest is None else second(self._greatest, greatest)

    def _combine(self, count: Any, mean: Any, squares: Any, total: Any) -> None:
        """Chan et al.'s formula, where there is anything to add."""
        together = self._count + count
        share = count / numpy.maximum(together, 1)
        apart = mean - self._mean
        is_any = numpy.asarray(count) > 0
        self._mean = numpy.where(is_any, self._mean + apart * share, self._mean)[()]
        self._squares = self._squares + numpy.where(is_any, squares + abs(apart) ** 2 * (self._count * share), 0)[()]
        self._sum = self._sum + total
        self._count = together

    def _missing(self) -> Any:
        """What stands where there are no elements."""
        if self._empty is None or self._empty.dtype.kind not in "mM":
            return numpy.full(() if self._empty is None else self._empty.shape, numpy.nan)[()]
        return numpy.full(self._empty.shape, "NaT", self._empty.dtype)[()]


def _squares(values: numpy.ndarray, mean: Any, valid: Any) -> Any:
    """The sum of the squares of the deviations."""
    deviations = values - mean
    if deviations.dtype.kind == "c":
        deviations = abs(deviations)
    numpy.multiply(deviations, deviations, out=deviations)
    return numpy.add.reduce(deviations, where=valid)
