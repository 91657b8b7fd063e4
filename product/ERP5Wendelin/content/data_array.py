"""Data Array: a document over an n-dimensional array that may be much larger than memory.

State (public format): that of `content.base`, `array` (IArray; None until `initArray`), `provenance` (dict of plain
values: what it was imported from; None if it was not), and `recent_chunks` (`content.recent_chunks`: what was appended
with a key, and is not to be appended again).
"""

from __future__ import annotations

from typing import Any

import numpy
from AccessControl.SecurityInfo import ClassSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.recent_chunks import KnowsChunks
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.permissions import PushData, View
from Products.ERP5Wendelin.storage.array import Array


class ReadOnlyArray:
    """An array as who may not write to it gets it."""

    def __init__(self, array: Array) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Its length along each axis."""
        return self._array.shape

    @property
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """How many elements it has."""
        return self._array.size

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return self._array.nbytes

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> Any:
        return self._array[index]


@declared
class DataArray(ValidationState, KnowsChunks, Base):
    """An array with a shape and a dtype, with ERP5's methods."""

    security = ClassSecurityInfo()
    security.declarePrivate("array", "provenance")

    portal_type = meta_type = "Data Array"

    array: Array | None = None
    provenance: dict[str, Any] | None = None

    @security.protected(PushData)
    def initArray(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Make it an array of zeros, in place of what it was. BadInput for a shape or dtype that can't be stored."""
        self.array = Array(shape, dtype)
        return self.array

    @security.protected(View)
    def getArray(self, default: Any = None) -> Any:
        """The array, of which slices are read, and written by who may push; `default` until `initArray`."""
        if self.array is None:
            return default
        may_write = getSecurityManager().checkPermission(PushData, self)
        return self.array if may_write else ReadOnlyArray(self.array)

    @security.protected(View)
    def getProvenance(self) -> dict[str, Any] | None:
        """What it was imported from: `data_set`, `version`, `path`, `digest`, `format`, `key`, and what a file says."""
        return None if self.provenance is None else dict(self.provenance)

    @security.protected(View)
    def getSize(self) -> int:
        """How many bytes its elements take; 0 until `initArray`."""
        return 0 if self.array is None else self.array.nbytes

    @security.protected(View)
    def getArrayShape(self) -> tuple[int, ...]:
        """Its length along each axis."""
        return self._initialised().shape

    @security.protected(View)
    def getArrayDtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self._initialised().dtype

    @security.protected(View)
    def getArrayDtypeNames(self) -> list[str]:
        """The names of its columns; none where elements are plain."""
        return list(self._initialised().dtype.names or ())

    @security.protected(View)
    def getArrayIndex(self, index: Any) -> Any:
        """What an index selects, as a new ndarray, or one element: integers, slices, `...`, or a tuple of them."""
        return self._initialised()[index]

    @security.protected(View)
    def getArraySlice(self, start: int, stop: int) -> numpy.ndarray:
        """The elements from `start` up to `stop` of the first axis, as a new ndarray."""
        return self._initialised()[start:stop]

    def _initialised(self) -> Array:
        if self.array is None:
            raise Conflict(f"Data Array {self.reference or self.id!r} has no array yet: give it one with initArray.")
        return self.array
