"""What arrays can be, and what fits into one: shapes, dtypes, values; whether it is in a database or in memory.

Elements are values of a fixed size. NumPy's limits are ours: 32 axes, and what 64 bits can address; besides, an element
is no larger than a block, so that memory is bounded where arrays are read block by block.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy

from .. import errors
from .block import BLOCK_SIZE

Shape = tuple[int, ...]

MOST_AXES = 32
MOST_BYTES = 2**62

_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""What is in no text that others are shown: control characters but for white space, and halves of characters, which
UTF-8 does not have."""


class Shaped:
    """What follows from the shape and the dtype of an array, wherever its elements are."""

    @property
    def shape(self) -> Shape:
        """Its length along each axis."""
        raise NotImplementedError

    @property
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return self.size * self.dtype.itemsize


def checked_dtype(dtype: Any) -> numpy.dtype:
    """The dtype that is described by what NumPy takes for one. BadInput: it is none, or can't be stored."""
    try:
        dtype = numpy.dtype(dtype)
    except (TypeError, ValueError, SyntaxError, MemoryError) as error:
        raise errors.BadInput(f"{str(dtype)[:200]!r} is no dtype: {error}.") from None
    if dtype.hasobject:
        raise errors.BadInput(
            f"An array of {dtype} cannot be stored: its elements are references to objects, not values. "
            "Choose a dtype of fixed size, such as float64 or S20."
        )
    if dtype.itemsize == 0:
        raise errors.BadInput(
            f"An array of {dtype} cannot be stored: its elements have no size. Choose one such as S20."
        )
    if dtype.subdtype is not None:
        raise errors.BadInput(
            f"An array of {dtype} cannot be stored: its elements are arrays themselves. "
            "Let their axes be the array's last ones."
        )
    if dtype.itemsize > BLOCK_SIZE:
        raise errors.BadInput(
            f"An array of {dtype} cannot be stored: an element has {dtype.itemsize} bytes, and may have {BLOCK_SIZE} "
            "bytes. Make more axes of it."
        )
    _check_names(_names_in(dtype))
    return dtype


def checked_shape(shape: Any, dtype: numpy.dtype) -> Shape:
    """A shape as integers, for elements of a dtype; a single length is that of the only axis. BadInput: it is none."""
    try:
        lengths = tuple(int(length) for length in (shape if numpy.iterable(shape) else (shape,)))
    except (TypeError, ValueError, OverflowError):
        lengths = ()
    if not lengths or min(lengths) < 0:
        raise errors.BadInput(
            f"{shape} is no shape of an array: give a length of at least 0 for each of one or more axes."
        )
    if len(lengths) > MOST_AXES:
        raise errors.BadInput(f"An array of {len(lengths)} axes cannot be made: it may have {MOST_AXES} axes.")
    # an axis of length 0 must not hide what NumPy can't address
    if math.prod(length for length in lengths if length) * dtype.itemsize >= MOST_BYTES:
        raise errors.BadInput(f"An array of shape {lengths} and {dtype} is larger than {MOST_BYTES} bytes.")
    return lengths


def resizable(old: Shape, new: Any, dtype: numpy.dtype) -> Shape:
    """The shape that an array gets. BadInput when another axis than the first would change: elements would move."""
    shape = checked_shape(new, dtype)
    if shape[1:] != old[1:] or len(shape) != len(old):
        raise errors.BadInput(f"An array of shape {old} cannot become {shape}: only the first axis may change.")
    return shape


def appendable(values: Any, shape: Shape, dtype: numpy.dtype) -> numpy.ndarray:
    """Values that can be put behind an array of a shape, in its dtype. BadInput: other axes than the first differ."""
    data = numpy.asarray(values)
    if data.ndim != len(shape) or data.shape[1:] != shape[1:]:
        raise errors.BadInput(
            f"Values of shape {data.shape} cannot be appended to an array of shape {shape}: "
            "only the first axis may differ."
        )
    return _converted(data, dtype)


def assignable(values: Any, shape: Shape, dtype: numpy.dtype) -> numpy.ndarray:
    """Values, or one for all, that can be written to a slice of a shape, in its dtype. BadInput: they don't fit."""
    data = _converted(values, dtype)
    try:
        return numpy.broadcast_to(data, shape)
    except ValueError:
        raise errors.BadInput(f"Values of shape {data.shape} cannot be written to a slice of shape {shape}.") from None


def renamed(dtype: numpy.dtype, names: Sequence[str]) -> numpy.dtype:
    """A dtype whose columns have other names. BadInput: it has not as many columns, or these can't be names."""
    names = list(names)
    if len(names) != len(dtype.names or ()):
        raise errors.BadInput(
            f"An array of {dtype} has {len(dtype.names or ())} columns, which can't have {len(names)} names."
        )
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise errors.BadInput(f"{names} can't be the names of columns: give texts that all differ.")
    _check_names(names)
    fields = [dtype.fields[name] for name in dtype.names]  # type: ignore[index,union-attr]
    return numpy.dtype(
        {
            "names": names,
            "formats": [field[0] for field in fields],
            "offsets": [field[1] for field in fields],
            "itemsize": dtype.itemsize,
            "aligned": dtype.isalignedstruct,
        }
    )


def _names_in(dtype: numpy.dtype) -> Iterator[Any]:
    """The names and titles of columns, and of those within them."""
    fields: Mapping[str, Any] = dtype.base.fields or {}
    for name in dtype.base.names or ():
        inner, _, *titles = fields[name]
        yield from (name, *titles)
        yield from _names_in(inner)


def _check_names(names: Iterable[Any]) -> None:
    """BadInput unless these can be shown to everybody, in lists of arrays and on terminals."""
    for name in names:
        if not isinstance(name, str) or _UNSHOWABLE.search(name):
            raise errors.BadInput(
                f"{ascii(name)[:100]} can't be the name or title of a column: it must be text without control "
                "characters."
            )


def unnamed(data: numpy.ndarray) -> numpy.ndarray:
    """The same elements, and records as the bytes that they are.

    NumPy copies records column by column, and leaves what is between the columns as it was: in new memory, anything
    that the process has had there.
    """
    return data if data.dtype.names is None else data.view((numpy.void, data.dtype.itemsize))


def _has_gaps(dtype: numpy.dtype) -> bool:
    """Whether records have bytes that are in no column."""
    if dtype.base.names is None:
        return False
    columns = [dtype.base[name] for name in dtype.base.names]
    return sum(column.itemsize for column in columns) < dtype.base.itemsize or any(map(_has_gaps, columns))


def _converted(values: Any, dtype: numpy.dtype) -> numpy.ndarray:
    try:
        data = numpy.asarray(values, dtype)
        if not _has_gaps(dtype):
            return data
        filled = numpy.zeros(data.shape, dtype)  # of what is between the columns nothing is stored
        filled[...] = data
        return filled
    except (TypeError, ValueError, OverflowError) as error:
        raise errors.BadInput(f"The values can't be converted to {dtype}: {error}.") from None
