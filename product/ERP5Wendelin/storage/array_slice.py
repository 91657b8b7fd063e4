"""A basic slice of an array, as bytes in C order: what of the array a range of them is.

A slice may be contiguous: rows that follow one another, an element, all of it. Then it is a range of the array's own
bytes. Any other is cut into boxes, each a slice of bounded size by itself, so that whoever wants the bytes from the
middle on reads nothing that comes before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ..errors import BadInput
from ..protocol import MIB
from .array import Shape, ranges_of, slice_of
from .block import CHUNK_SIZE

BOX_SPAN = 4 * MIB
"""Bytes of the array between the first element of a box and its last: a box takes no more memory, nor much time."""


class Box(NamedTuple):
    """A part of a slice: what selects it in the array, and the range of the slice's bytes that it is."""

    slices: tuple[slice, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class ArraySlice:
    """What a basic index selects in an array of a shape, whose elements have `itemsize` bytes.

    `ranges` are the positions on each axis, and `dropped` says which axes the slice does not have, since an integer
    names a position there.
    """

    array_shape: Shape
    itemsize: int
    ranges: tuple[range, ...]
    dropped: tuple[bool, ...]

    @classmethod
    def of(cls, shape: Shape, itemsize: int, index: Any) -> ArraySlice:
        """What an index selects. BadInput: it does not fit the array."""
        try:
            ranges, dropped = ranges_of(index, shape)
        except IndexError as error:
            raise BadInput(str(error)) from None
        return cls(shape, itemsize, tuple(ranges), tuple(dropped))

    @cached_property
    def shape(self) -> Shape:
        """The slice's own."""
        return tuple(len(r) for r, dropped in zip(self.ranges, self.dropped, strict=True) if not dropped)

    @cached_property
    def nbytes(self) -> int:
        """How many bytes it has."""
        return self._box_size(0)

    @cached_property
    def text(self) -> str:
        """The index in one form, whatever it was written like."""
        return ",".join(
            str(r[0]) if dropped else f"{r.start}:{r.stop}:{r.step}" if r else "0:0:1"
            for r, dropped in zip(self.ranges, self.dropped, strict=True)
        )

    def run(self) -> tuple[int, int] | None:
        """The range of the array's bytes that the slice is; None: it is no such range."""
        if not self.nbytes:
            return 0, 0
        axis = next((a for a, r in enumerate(self.ranges) if len(r) > 1), len(self.ranges) - 1)
        rest = range(axis + 1, len(self.ranges))
        has_gaps = len(self.ranges[axis]) > 1 and self.ranges[axis].step != 1
        if has_gaps or any(self.ranges[a] != range(self.array_shape[a]) for a in rest):
            return None
        start = sum(r[0] * self._row_size(a) for a, r in enumerate(self.ranges))
        return start, start + self.nbytes

    @property
    def touched(self) -> int:
        """About how many bytes of the array are rewritten to write the slice: what it covers, by chunks."""
        if not self.nbytes:
            return 0
        run = self.itemsize
        for along, length in zip(reversed(self.ranges), reversed(self.array_shape), strict=True):
            if len(along) > 1 and along.step != 1:
                break
            run *= len(along)
            if len(along) != length:
                break
        span = self.itemsize + sum((len(r) - 1) * abs(r.step) * self._row_size(a) for a, r in enumerate(self.ranges))
        return min(self.nbytes // run * max(run, CHUNK_SIZE), span)

    def boxes(self, start: int, stop: int) -> Iterator[Box]:
        """The parts that the slice's bytes from `start` up to `stop` are in, in their order."""
        axis = next((a for a in range(len(self.ranges)) if self._row_size(a) <= BOX_SPAN), len(self.ranges) - 1)
        along, size = self.ranges[axis], self._box_size(axis + 1)
        count = max(BOX_SPAN // (self._row_size(axis) * abs(along.step)), 1)
        rest = tuple(map(slice_of, self.ranges[axis + 1 :]))
        row = start // size
        while row * size < stop:
            before, first = divmod(row, len(along))
            last = min(first + count, len(along))
            place = tuple(slice_of(range(p, p + 1)) for p in self._place(before, axis))
            yield Box((*place, slice_of(along[first:last]), *rest), row * size, (row + last - first) * size)
            row += last - first

    def _place(self, number: int, axis: int) -> list[int]:
        """The positions on the axes before one, of the row that has a number among them, in C order."""
        positions = []
        for along in reversed(self.ranges[:axis]):
            number, position = divmod(number, len(along))
            positions.append(along[position])
        return positions[::-1]

    def _row_size(self, axis: int) -> int:
        """Bytes of the array for one position on an axis."""
        return math.prod(self.array_shape[axis + 1 :]) * self.itemsize

    def _box_size(self, axis: int) -> int:
        """Bytes of the slice from an axis on, for one position on those before."""
        return math.prod(map(len, self.ranges[axis:])) * self.itemsize
