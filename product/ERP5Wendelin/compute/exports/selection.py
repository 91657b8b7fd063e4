"""Selection: what an index selects of an array, read box by box from one snapshot of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy

from Products.ERP5Wendelin.blockwise.boxes import Box
from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.array import Array, ranges_of

BOX_SIZE = 16 * MIB
"""Bytes that are read at a time."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are written, and how many there will be."""


class Selection:
    """An array as the index leaves it: `shape` without the axes that an integer drops, and `dtype`."""

    def __init__(self, array: Array, index: tuple[Any, ...]) -> None:
        """IndexError, BadInput: the array has no such elements."""
        self._array = array
        self._ranges, self._dropped = ranges_of(index, array.shape)
        self.dtype = array.dtype
        self.shape = tuple(len(each) for each, dropped in zip(self._ranges, self._dropped, strict=True) if not dropped)

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return int(numpy.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def read(self, box: Box) -> numpy.ndarray:
        """The elements of a box."""
        kept = iter(box)
        parts = (
            each.start if dropped else _slice(each[next(kept)])
            for each, dropped in zip(self._ranges, self._dropped, strict=True)
        )
        return numpy.asarray(self._array[tuple(parts)])


@contextmanager
def selected(document: Any, index: tuple[Any, ...]) -> Iterator[Selection]:
    """What an index selects of a Data Array, as the document's connection sees it, whatever is committed meanwhile."""
    document.getArrayShape()  # Conflict: it has none
    array = document.array
    if array._p_jar is None:
        raise Conflict("The array must be committed before it is exported.")
    with Snapshot.of(array._p_jar).opened() as connection:
        yield Selection(connection.get(array._p_oid), index)


def _slice(positions: range) -> slice:
    """A range as a slice: one that ends before 0 has no stop that a slice could say."""
    return slice(positions.start, positions.stop if positions.stop >= 0 else None, positions.step)
