"""MemoryArray: an array in memory, for documents that are never stored; used as `storage.array.Array` is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from ZODB.Connection import Connection
from zope.interface import implementer

from ..interfaces import IArray
from .array import Array, ranges_of
from .array_shape import Shape, Shaped, appendable, assignable, checked_dtype, checked_shape, renamed, resizable


@implementer(IArray)
class MemoryArray(Shaped):
    """Elements in an ndarray with room for more: appending copies each of them a few times at the most."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        """Make an array of zeros. BadInput as for an Array."""
        dtype = checked_dtype(dtype)
        shape = checked_shape(shape, dtype)
        self._room = numpy.zeros(shape, dtype)
        self._length = shape[0]

    @property
    def zarray(self) -> numpy.ndarray:
        """What stands in for the ZBigArray: a view of its elements, until it grows."""
        return self._room[: self._length]

    @property
    def shape(self) -> Shape:
        """Its length along each axis."""
        return (self._length, *self._room.shape[1:])

    @property
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self._room.dtype

    def __len__(self) -> int:
        """Its length along the first axis."""
        return self._length

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of a database that it reads: none."""
        return ()

    def on(self, connection: Connection) -> MemoryArray:
        """Itself, whatever the connection."""
        return self

    def rename(self, names: Sequence[str]) -> None:
        """Give its columns other names. BadInput as for an Array."""
        self._room.dtype = renamed(self.dtype, names)  # type: ignore[misc]

    def append(self, values: Any) -> None:
        """Append along the first axis. BadInput when the other axes differ."""
        data = appendable(values, self.shape, self.dtype)
        start = self._length
        self._grow(checked_shape((start + len(data), *self.shape[1:]), self.dtype)[0])
        self._room[start : self._length] = data

    def resize(self, shape: Shape) -> None:
        """Change the length of the first axis: what is cut off is gone, and what is added is zeros.

        BadInput when another axis would change.
        """
        length = resizable(self.shape, shape, self.dtype)[0]
        if length < self._length:
            self._room[length : self._length] = numpy.zeros((), self.dtype)
            self._length = length
        else:
            self._grow(length)

    def __array__(self, dtype: Any = None) -> numpy.ndarray:
        """A copy of it, for functions that take arrays."""
        return numpy.asarray(self[...], dtype)

    def __getitem__(self, index: Any) -> Any:
        """A basic slice (integers, slices and `...`) as a new ndarray, or one element."""
        ranges_of(index, self.shape)  # refuses what is no basic index
        selected = self.zarray[index]
        return selected.copy() if isinstance(selected, (numpy.ndarray, numpy.void)) else selected

    def __setitem__(self, index: Any, values: Any) -> None:
        """Write values, or one value for all, to a basic slice."""
        ranges, scalars = ranges_of(index, self.shape)
        target = tuple(len(each) for each, scalar in zip(ranges, scalars, strict=True) if not scalar)
        self.zarray[index] = assignable(values, target, self.dtype)

    def _grow(self, length: int) -> None:
        """Have at least `length` rows, of which the new ones are zeros."""
        if length > len(self._room):
            room = numpy.zeros((max(length, len(self._room) * 9 // 8), *self._room.shape[1:]), self.dtype)
            room[: self._length] = self.zarray
            self._room = room
        self._length = length
