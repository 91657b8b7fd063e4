"""Incoming: an array as a file has it, that is read in pieces from anywhere on, and the bytes of it as a source."""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy

from Products.ERP5Wendelin.blockwise.boxes import BOX_SIZE, Box, fortran_boxes, in_c_order, shape_of
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import MIB

PIECE_SIZE = 4 * MIB
"""Bytes of elements that are read at a time."""

EXPANSION_MAX = 1_100
"""How many times its file an array may be: deflate reaches 1,032."""

EXPANDED_SIZE = 1024 * MIB
"""Bytes up to which an array may be as large as it likes."""


class Incoming(ABC):
    """An array in a file: `shape` and `dtype`, and `details` that are noted with it (plain values)."""

    def __init__(self, shape: tuple[int, ...], dtype: numpy.dtype, **details: Any) -> None:
        self.shape = shape
        self.dtype = dtype
        self.details = details

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def close(self) -> None:  # noqa: B027 - most formats keep nothing open
        """Let go of what a library keeps open; nothing can be read any more."""

    @abstractmethod
    def pieces(self, start: int) -> Iterator[numpy.ndarray]:
        """The elements in C order from `start` on, flat, in pieces of bounded size; whenever it is called, the same.

        BadInput: the file has not got them.
        """


class Binary(Incoming):
    """Elements that lie in a file as they lie in memory."""

    def __init__(
        self,
        opened: Callable[[], BinaryIO],
        shape: tuple[int, ...],
        dtype: numpy.dtype,
        *,
        fortran_order: bool = False,
        **details: Any,
    ) -> None:
        """`opened` gives a file at its first element; seeking forward may take reading."""
        super().__init__(shape, dtype, **details)
        self._opened = opened
        self._fortran_order = fortran_order and len(shape) > 1

    def pieces(self, start: int) -> Iterator[numpy.ndarray]:
        file = self._opened()
        if self._fortran_order:
            most = max(BOX_SIZE // self.dtype.itemsize, 1)
            parts = fortran_boxes(self.shape, most)
            return in_c_order(self.shape, self.dtype, parts, lambda box: self._box(file, box), start)
        return self._in_order(file, start)

    def _in_order(self, file: BinaryIO, start: int) -> Iterator[numpy.ndarray]:
        file.seek(start * self.dtype.itemsize, io.SEEK_CUR)
        count, size = max(PIECE_SIZE // self.dtype.itemsize, 1), math.prod(self.shape)
        for first in range(start, size, count):
            yield read_elements(file, min(count, size - first), self.dtype)

    def _box(self, file: BinaryIO, box: Box) -> numpy.ndarray:
        shape = shape_of(box)
        return read_elements(file, math.prod(shape), self.dtype).reshape(shape, order="F")


def read_elements(file: BinaryIO, count: int, dtype: numpy.dtype) -> numpy.ndarray:
    """The next elements of a file. BadInput where it ends before."""
    elements = numpy.empty(count, dtype)
    target = elements.view(numpy.uint8).data
    while target:
        size = file.readinto(target)  # type: ignore[attr-defined]
        if not size:
            raise BadInput(f"The file ends {len(target)} bytes before the array does: it was cut off. Push it again.")
        target = target[size:]
    return elements


def check_expansion(file: StoredFile, size: int) -> None:
    """TooLarge for an array that is so much larger than its file that the file must lie, or hardly says anything."""
    if size > max(file.size * EXPANSION_MAX, EXPANDED_SIZE):
        raise TooLarge(
            f"{file.name} has {file.size} bytes and is said to hold an array of {size}: more than {EXPANSION_MAX} "
            f"times as many, which is not taken beyond {EXPANDED_SIZE} bytes. Write it uncompressed, or in parts."
        )


class Bytes:
    """What `pieces` gives, as bytes to be read, from an offset on."""

    def __init__(self, incoming: Incoming, offset: int) -> None:
        start, within = divmod(offset, incoming.dtype.itemsize)
        self._pieces = incoming.pieces(start)
        self._rest = memoryview(b"")
        self._skipped = within

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = numpy.ascontiguousarray(piece).reshape(-1).view(numpy.uint8).data[self._skipped :]
            self._skipped = 0
        data = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        return data
