"""Selection: what an index selects of an array, read box by box from one snapshot of the database."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy

from Products.ERP5Wendelin.blockwise.boxes import Box
from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.array import ranges_of, slice_of
from Products.ERP5Wendelin.storage.uncommitted import is_changed

BOX_SIZE = 16 * MIB
"""Bytes that are read at a time."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are written, and how many there will be."""


class Selection:
    """An array as an index leaves it: `shape` without the axes that an integer drops, and `dtype`."""

    def __init__(self, reader: Any, index: tuple[Any, ...]) -> None:
        """`reader`: what a document is read from. BadInput: it has no such elements."""
        self._reader = reader
        try:
            self._ranges, self._dropped = ranges_of(index, reader.shape)
        except IndexError as error:
            raise BadInput(str(error)) from None
        self.dtype: numpy.dtype = reader.dtype
        self.shape = tuple(len(each) for each, dropped in zip(self._ranges, self._dropped, strict=True) if not dropped)

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, box: Box) -> numpy.ndarray:
        """The elements of a box."""
        kept = iter(box)
        index = tuple(
            each.start if dropped else slice_of(each[next(kept)])
            for each, dropped in zip(self._ranges, self._dropped, strict=True)
        )
        return numpy.asarray(self._reader[index], self.dtype)


@contextmanager
def selected(document: Any, index: tuple[Any, ...]) -> Iterator[Selection]:
    """What an index selects of a Data Array, a line or a view, as its connection sees it, whatever is committed later.

    Conflict: it has changes that are not committed.
    """
    reader = document.getReader()
    if not reader.arrays:  # it is in memory
        yield Selection(reader, index)
        return
    if any(map(is_changed, reader.arrays)):
        raise Conflict("The array has changes that are not committed: commit or abort them before it is exported.")
    with Snapshot.of(reader.arrays[0]._p_jar).opened() as connection:
        yield Selection(reader.on(connection), index)
