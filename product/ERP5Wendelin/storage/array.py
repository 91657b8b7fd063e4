"""Array: an n-dimensional array much larger than memory, over wendelin.core's ZBigArray, in C order.

Slices are read into a new ndarray, block by block, and written through to the blocks; neither goes through a mapped
view, so both take the memory of the slice and a block. `zarray` is wendelin.core's own, for batch scripts that map it;
each way sees what the other has written in the transaction (`storage.mapping`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy
from persistent import Persistent
from wendelin.bigarray.array_zodb import ZBigArray
from wendelin.bigfile.file_zodb import ZBigFile
from ZODB.Connection import Connection
from zope.interface import implementer

from .. import errors
from ..interfaces import IArray
from ..protocol import MIB
from . import block, mapping
from .array_shape import (
    Shape,
    Shaped,
    appendable,
    assignable,
    checked_dtype,
    checked_shape,
    renamed,
    resizable,
    unnamed,
)
from .block import BLOCK_SIZE
from .stream import ByteStream

READ_ROW = 128 * 1024
"""Bytes of the longest row that is read with its neighbours where only some of it is wanted: finding a part of a block
takes as long as copying some 64 KiB."""


@implementer(IArray)
class Array(Persistent, Shaped):
    """`zarray`: the ZBigArray. Its records and this attribute are public format."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        """Make an array of zeros. BadInput for a shape or a dtype that can't be stored, such as one with objects."""
        dtype = checked_dtype(dtype)
        shape = checked_shape(shape, dtype)
        self.__dict__["zarray"] = ZBigArray(shape, dtype, blksize=BLOCK_SIZE)

    @classmethod
    def of_stream(cls, stream: ByteStream, shape: Shape, dtype: Any) -> Array:
        """The array of these elements, in C order, whose bytes a stream has.

        The stream's blocks are the array's from then on, so nobody may use the stream any more. ValueError if it has
        more bytes than the array, or fewer.
        """
        array = cls(shape, dtype)
        if array.nbytes != stream.size:
            raise ValueError(f"{stream.size} bytes are no array of shape {array.shape} and dtype {array.dtype}.")
        array.zarray.zfile = stream.array.zfile
        return array

    @property
    def zarray(self) -> ZBigArray:
        """The ZBigArray, whose mapped views are right beside direct access."""
        self._p_activate()
        return mapping.prepare(self.__dict__["zarray"])

    @property
    def shape(self) -> Shape:
        """Its length along each axis."""
        return self.zarray.shape

    @property
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self.zarray.dtype

    def __len__(self) -> int:
        """Its length along the first axis."""
        return self.shape[0]

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the database that are read where it is: itself, unlike what windows on it say."""
        return (self,)

    def on(self, connection: Connection) -> Array:
        """The same array on another connection to its database, as of a snapshot."""
        array: Array = connection.get(self._p_oid)
        return array

    def enter(self, connection: Connection) -> None:
        """Belong to a connection before it is committed, so that it can be mapped in the transaction that makes it."""
        mapping.enter(connection, self.zarray)

    def rename(self, names: Sequence[str]) -> None:
        """Give its columns other names. BadInput: it has none, or not as many, or one is no name or comes twice."""
        zarray = self.zarray
        zarray._init0(zarray.shape, renamed(zarray.dtype, names), order=zarray._order)

    def append(self, values: Any) -> None:
        """Append along the first axis. BadInput when the other axes differ, or there would be more than can be."""
        data = numpy.ascontiguousarray(appendable(values, self.shape, self.dtype))
        shape = checked_shape((self.shape[0] + len(data), *self.shape[1:]), self.dtype)
        offset = self.nbytes
        self.zarray.resize(shape)
        if data.nbytes:
            mapping.settle(self.zarray.zfile)
            _write(self.zarray.zfile, offset, data)

    def resize(self, shape: Shape) -> None:
        """Change the length of the first axis: what is cut off is gone, and what is added is zeros.

        BadInput when another axis would change, for every element would have to move.
        """
        shape = resizable(self.shape, shape, self.dtype)
        before, zfile = self.nbytes, self.zarray.zfile
        self.zarray.resize(shape)
        if self.nbytes < before:
            mapping.settle(zfile)
            block.truncate(zfile, self.nbytes)
            mapping.show(zfile, self.nbytes, before)

    def __array__(self, dtype: Any = None) -> numpy.ndarray:
        """All of it in memory, for functions that take arrays."""
        return numpy.asarray(self[...], dtype)

    def __getitem__(self, index: Any) -> Any:
        """A basic slice (integers, slices and `...`) as a new ndarray, or one element."""
        ranges, scalars = ranges_of(index, self.shape)
        result = numpy.empty([len(each) for each in ranges], self.dtype)
        if result.size:
            _Transfer(self, write=False).move(unnamed(result), 0, 0, ranges)
        return result[tuple(0 if scalar else slice(None) for scalar in scalars)]

    def __setitem__(self, index: Any, values: Any) -> None:
        """Write values, or one value for all, to a basic slice in the current transaction."""
        ranges, scalars = ranges_of(index, self.shape)
        lengths = [len(each) for each in ranges]
        target = tuple(length for length, scalar in zip(lengths, scalars, strict=True) if not scalar)
        data = assignable(values, target, self.dtype).reshape(lengths)
        if data.size:
            _Transfer(self, write=True).move(unnamed(data), 0, 0, ranges)


class _Transfer:
    """Moves the elements at a product of ranges between an ndarray and the blocks."""

    def __init__(self, array: Array, *, write: bool) -> None:
        self._zfile = array.zarray.zfile
        self._dtype = unnamed(numpy.empty(0, array.dtype)).dtype
        self._shape = array.shape
        self._write = write
        self._longest_row = BLOCK_SIZE if write else READ_ROW
        mapping.settle(self._zfile)

    def move(self, data: numpy.ndarray, offset: int, axis: int, ranges: list[range]) -> None:
        """Move `data`, which stands for `ranges` from `axis` on, to or from the sub-array at byte `offset`."""
        here, inner = ranges[axis], ranges[axis + 1 :]
        if here.step < 0:
            return self.move(data[::-1], offset, axis, [*ranges[:axis], here[::-1], *inner])
        shape = self._shape[axis + 1 :]
        row = math.prod(shape) * self._dtype.itemsize
        is_run = here.step == 1 and all(each == range(length) for each, length in zip(inner, shape, strict=True))
        if is_run and data.flags.c_contiguous:
            return self._move_run(data, offset + here[0] * row)
        if inner and row > self._longest_row:
            for part, position in zip(data, here, strict=True):
                self.move(part, offset + position * row, axis + 1, ranges)
            return None
        # As many rows at a time as lie within a block's length.
        count = max(1, BLOCK_SIZE // (row * here.step))
        for begin in range(0, len(here), count):
            some = here[begin : begin + count]
            self._move_rows(data[begin : begin + count], offset, axis, [some, *inner])
        return None

    def _move_run(self, data: numpy.ndarray, start: int) -> None:
        """Move elements that are one behind the other, there and here."""
        if self._write:
            _write(self._zfile, start, data)
        else:
            block.read_into(self._zfile.blktab, start, _bytes_of(data))

    def _move_rows(self, data: numpy.ndarray, offset: int, axis: int, ranges: list[range]) -> None:
        """Move elements by way of all that lies between the first and the last of them."""
        rows = ranges[0]
        span = numpy.empty((rows[-1] + 1 - rows[0], *self._shape[axis + 1 :]), self._dtype)
        start = offset + rows[0] * (span.nbytes // len(span))
        within = tuple(slice_of(each) for each in (range(0, len(span), rows.step), *ranges[1:]))
        if not self._write or span[within].shape != span.shape:
            block.read_into(self._zfile.blktab, start, _bytes_of(span))
        if self._write:
            span[within] = data
            _write(self._zfile, start, span)
        else:
            data[...] = span[within]


def _write(zfile: ZBigFile, start: int, data: numpy.ndarray) -> None:
    """Put the bytes of a contiguous array that isn't empty at `start` of a file."""
    if data.nbytes >= BLOCK_SIZE:
        _keep_freed_memory()
    block.write(zfile, start, _bytes_of(data).data)
    mapping.show(zfile, start, start + data.nbytes)


@cache
def _keep_freed_memory() -> None:
    """Let what is freed be used again by this process, up to twice this size, before the system gets it back.

    glibc does so once it has freed a piece of that size (it is never touched). A commit takes and frees three pieces of
    memory for each block; without this, most of its time would go into getting pages from the system: 1.3 times.
    """
    with suppress(MemoryError):
        bytes(31 * MIB)


def _bytes_of(data: numpy.ndarray) -> numpy.ndarray:
    """The bytes of a contiguous array that isn't empty, where they are."""
    return data.reshape(-1).view(numpy.uint8)


def slice_of(positions: range) -> slice:
    """A range of positions of an axis as a slice: one that ends before 0 has no stop that a slice could say."""
    return slice(positions.start, positions.stop if positions.stop >= 0 else None, positions.step)


def ranges_of(index: Any, shape: Shape) -> tuple[list[range], list[bool]]:
    """What a basic index selects on each axis, and which axes it drops, for they are named by an integer.

    BadInput: it is no basic index, or has more parts than there are axes. IndexError: an integer is out of bounds.
    """
    index = index if isinstance(index, tuple) else (index,)
    if sum(each is Ellipsis for each in index) > 1 or sum(each is not Ellipsis for each in index) > len(shape):
        raise errors.BadInput(f"The index has more parts than the array has axes: {len(shape)}.")
    if any(part is Ellipsis for part in index):
        at = [part is Ellipsis for part in index].index(True)
        index = (*index[:at], *[slice(None)] * (len(shape) + 1 - len(index)), *index[at + 1 :])
    index = (*index, *[slice(None)] * (len(shape) - len(index)))
    ranges, scalars = [], []
    for axis, (part, length) in enumerate(zip(index, shape, strict=True)):
        if isinstance(part, slice):
            ranges.append(range(length)[part])
        else:
            ranges.append(_position(part, length, axis))
        scalars.append(not isinstance(part, slice))
    return ranges, scalars


def _position(part: Any, length: int, axis: int) -> range:
    try:
        position = operator.index(part)
    except TypeError:
        raise errors.BadInput(
            f"An array is read by integers, slices and ..., not by {type(part).__name__}: "
            "read a slice, and select from it."
        ) from None
    if not -length <= position < length:
        raise IndexError(f"Index {position} is out of bounds for axis {axis}, which has a length of {length}.")
    position %= length
    return range(position, position + 1)
