"""An ndarray as the bytes of a .npy file in C order, of which no more is copied than is asked for at a time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ebulk.errors import EbulkError
from ebulk.library.numpy import numpy_for
from ebulk.local.npy import make_header

if TYPE_CHECKING:
    import numpy

    NDArray = numpy.ndarray[Any, Any]


class Elements:
    """What `transfer` sends (`NpySource`); `name` is for messages. EbulkError for elements that are objects."""

    fortran_order = False

    def __init__(self, values: NDArray, name: str) -> None:
        if values.dtype.hasobject:
            raise EbulkError(
                f"{name} is to get elements of {values.dtype}, which are Python objects: no lake takes those.",
                "Convert them to numbers, or to text of a fixed length by astype('U20').",
            )
        self._values = values
        self.name = name
        self.descr = import_module("numpy.lib.format").dtype_to_descr(values.dtype)
        self._header = make_header(self.descr, values.shape)
        self.shape = values.shape
        self.offset = len(self._header)
        self.itemsize = values.itemsize
        self.size = self.offset + values.nbytes

    def read(self, start: int, stop: int) -> memoryview:
        """The bytes from offset `start` up to `stop`."""
        header = self._header[start:stop]
        elements = self._read(max(0, start - self.offset), max(0, stop - self.offset))
        return memoryview(b"".join((header, elements))) if header else elements

    def _read(self, start: int, stop: int) -> memoryview:
        if start == stop:
            return memoryview(b"")
        values = self._values.reshape(1) if not self.shape else self._values
        row = values.nbytes // len(values)
        first = start // row
        return bytes_of(values[first : -(-stop // row)])[start - first * row : stop - first * row]


def bytes_of(values: NDArray) -> memoryview:
    """The elements' memory, if they are contiguous, or a copy."""
    numpy = numpy_for("An array")
    return memoryview(numpy.ascontiguousarray(values).reshape(-1).view(numpy.uint8))
