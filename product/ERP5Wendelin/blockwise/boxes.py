"""Boxes: an array of any shape cut into parts of bounded size, and arrays put into C order that come in others.

A box is a part that a product of slices selects. Those of `boxes` are contiguous in C order, and follow one another:
each fixes the first axes, has a slice of the next, and all of the rest.

What comes in boxes of another order (a file in Fortran order, chunks that are small along the first axis and long along
the others) is put into C order in two passes, as Aggarwal and Vitter's external transposition does (Communications of
the ACM 31, 1988): each box is written to a temporary file as it comes, in C order; then each box of the result is put
together from its parts, each of which is contiguous there. Both passes are linear in the array's size, and memory holds
one box of each.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator

import numpy

from .. import errors
from ..protocol import MIB
from ..storage.array_shape import unnamed
from ..storage.transaction import is_full

Shape = tuple[int, ...]
Box = tuple[slice, ...]
"""A slice with a start and a stop for each axis."""

BOX_SIZE = 32 * MIB
"""Bytes of a box. For 100 GiB in another order ten million parts of 10 KiB are read then."""


def boxes(shape: Shape, most: int, align: int = 1) -> Iterator[Box]:
    """Boxes of at most `most` elements, one at the least, that cover an array and follow one another in C order.

    Where they are cut along the first axis, that is at multiples of `align` if so many rows fit.
    """
    if 0 in shape:
        return
    if not shape:
        yield ()
        return
    axis = next((a for a in range(len(shape)) if math.prod(shape[a + 1 :]) <= most), len(shape) - 1)
    count = max(most // math.prod(shape[axis + 1 :]), 1)
    if axis == 0 and count > align:
        count -= count % align
    rest = tuple(slice(0, length) for length in shape[axis + 1 :])
    for position in _positions([range(length) for length in shape[:axis]]):
        fixed = tuple(slice(each, each + 1) for each in position)
        for start in range(0, shape[axis], count):
            yield (*fixed, slice(start, min(start + count, shape[axis])), *rest)


def fortran_boxes(shape: Shape, most: int) -> Iterator[Box]:
    """As `boxes`, contiguous in Fortran order."""
    return (box[::-1] for box in boxes(shape[::-1], most))


def chunk_boxes(shape: Shape, chunks: Shape, most: int) -> Iterator[Box]:
    """Boxes of whole chunks that cover an array, each of at most `most` elements, or of one chunk."""
    if 0 in shape:
        return
    lengths = list(chunks)
    for axis in reversed(range(len(shape))):
        others = math.prod(lengths[:axis]) * math.prod(lengths[axis + 1 :])
        lengths[axis] = min(max(most // (others * chunks[axis]), 1) * chunks[axis], shape[axis])
    for corner in _positions([range(0, length, step) for length, step in zip(shape, lengths, strict=True)]):
        stops = (min(start + step, length) for start, step, length in zip(corner, lengths, shape, strict=True))
        yield tuple(map(slice, corner, stops))


def _positions(ranges: list[range]) -> Iterator[tuple[int, ...]]:
    """The product of ranges, one after the other: itertools.product would first make a tuple of each."""
    if not ranges:
        yield ()
        return
    for first in ranges[0]:
        for rest in _positions(ranges[1:]):
            yield (first, *rest)


def shape_of(box: Box) -> Shape:
    """The lengths of a box."""
    return tuple(each.stop - each.start for each in box)


def in_c_order(
    shape: Shape, dtype: numpy.dtype, parts: Iterable[Box], read: Callable[[Box], numpy.ndarray], start: int = 0
) -> Iterator[numpy.ndarray]:
    """The elements of an array from `start` on in C order, flat, in pieces of BOX_SIZE at the most.

    `parts` are boxes that cover it, of bounded size, and `read` gives the elements of each, which is asked for once, in
    that order. StorageFull when there is no room for a temporary file of the array's size.
    """
    with tempfile.TemporaryFile(buffering=0) as scratch:
        places = _write_parts(scratch.fileno(), parts, read)
        position = 0
        for box in boxes(shape, max(BOX_SIZE // dtype.itemsize, 1)):
            size = math.prod(shape_of(box))
            if position + size > start:
                yield _gathered(scratch.fileno(), places, box, dtype)[max(start - position, 0) :]
            position += size


def _write_parts(file: int, parts: Iterable[Box], read: Callable[[Box], numpy.ndarray]) -> list[tuple[Box, int]]:
    """Write the elements of each part to a file; return where each begins, in bytes."""
    places, offset = [], 0
    for part in parts:
        data = numpy.ascontiguousarray(unnamed(read(part))).reshape(-1).view(numpy.uint8).data
        places.append((part, offset))
        while data:
            try:
                written = os.pwrite(file, data, offset)
            except OSError as error:
                if is_full(error):
                    raise errors.StorageFull(
                        f"{tempfile.gettempdir()} has no room for a temporary file of the array's size, by which it is "
                        "put into C order. Make room; then run the same command again."
                    ) from error
                raise
            offset += written
            data = data[written:]
    return places


def _gathered(file: int, places: list[tuple[Box, int]], box: Box, dtype: numpy.dtype) -> numpy.ndarray:
    """The elements of a box, flat, out of those of the parts that it meets."""
    result = unnamed(numpy.empty(shape_of(box), dtype))
    for part, offset in places:
        common = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, part, strict=True))
        if all(each.start < each.stop for each in common):
            piece = unnamed(numpy.empty(shape_of(common), dtype))
            _read(file, piece.reshape(-1).view(numpy.uint8).data, offset + _index(part, common) * dtype.itemsize)
            result[tuple(slice(c.start - b.start, c.stop - b.start) for c, b in zip(common, box, strict=True))] = piece
    return result.reshape(-1).view(dtype)


def _index(part: Box, common: Box) -> int:
    """Where a box within a part begins, in C order: that it is contiguous there follows from how `boxes` cuts."""
    index = 0
    for outer, inner in zip(part, common, strict=True):
        index = index * (outer.stop - outer.start) + inner.start - outer.start
    return index


def _read(file: int, target: memoryview, offset: int) -> None:
    while target:
        count = os.preadv(file, [target], offset)
        offset += count
        target = target[count:]
