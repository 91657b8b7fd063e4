"""What all documents that are arrays offer to read: Data Arrays, their lines, and views.

Which array a document reads, its `getReader` says: the array of a database, one in memory, or a window on others. What
is read by these methods is read from blocks, into new ndarrays, and shows what the transaction has written.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy
from AccessControl.SecurityInfo import ClassSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_base
from ExtensionClass import Base as ExtensionClass
from wendelin.bigarray.array_zodb import ZBigArray

from Products.ERP5Wendelin.blockwise import dask_array
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.permissions import PushData, View
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.array_reader import ArrayReader
from Products.ERP5Wendelin.storage.memory_array import MemoryArray

if TYPE_CHECKING:
    import dask.array
    import xarray


@declared
class ArrayDocument(ExtensionClass):
    """Mixed into documents that are arrays, or show some of others."""

    security = ClassSecurityInfo()

    @security.private
    def getReader(self) -> Array | MemoryArray | ArrayReader:
        """What its elements are read from. Conflict: there is nothing yet that they could be read from."""
        raise NotImplementedError

    @security.protected(View)
    def getSize(self) -> int:
        """How many bytes its elements take."""
        return self.getReader().nbytes

    @security.protected(View)
    def getArrayShape(self) -> tuple[int, ...]:
        """Its length along each axis."""
        return self.getReader().shape

    @security.protected(View)
    def getArrayDtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self.getReader().dtype

    @security.protected(View)
    def getArrayDtypeNames(self) -> list[str]:
        """The names of its columns; none where elements are plain."""
        return list(self.getReader().dtype.names or ())

    @security.protected(View)
    def getArrayIndex(self, index: Any) -> Any:
        """What an index selects, as a new ndarray, or one element: integers, slices, `...`, or a tuple of them."""
        return self.getReader()[index]

    @security.protected(View)
    def getArraySlice(self, start: int, stop: int) -> numpy.ndarray:
        """The elements from `start` up to `stop` of the first axis, as a new ndarray."""
        result: numpy.ndarray = self.getReader()[start:stop]
        return result

    @security.private
    def to_dask(self, chunks: Any = None) -> dask.array.Array:
        """A dask array, whose tasks read the database by themselves: `blockwise.dask_array.to_dask`.

        Not for restricted scripts: what becomes of it may run any code, and it holds the database's password.
        """
        return dask_array.to_dask(self.getReader(), chunks)

    @security.private
    def to_xarray(
        self, chunks: Any = None, dims: Sequence[Hashable] | None = None, coords: Mapping[Any, Any] | None = None
    ) -> xarray.DataArray | xarray.Dataset:
        """The same as xarray has it, under the document's reference, with what it tells of itself as attributes.

        `dims` are names for the axes. Of records each column is a variable of a Dataset.
        """
        return dask_array.to_xarray(
            self.getReader(), chunks, dims=dims, coords=coords, name=self.getReference(), attrs=self._told()
        )

    def _told(self) -> dict[str, Any]:
        """What it tells of itself, in words that CF conventions and xarray know, and of what it was imported from."""
        known = {
            "reference": self.getReference(),
            "long_name": self.getTitle(),
            "description": self.getDescription(),
            **(getattr(aq_base(self), "provenance", None) or {}),
        }
        return {name: value for name, value in known.items() if value not in (None, "")}


def may_write(document: Any) -> bool:
    """Whether the current user may write to a document's array."""
    return bool(getSecurityManager().checkPermission(PushData, document))


def may_map() -> bool:
    """Whether who asks for an array may get one that is mapped: trusted code may, and scripts may not.

    Where the database fails while a page is loaded the process ends, and with it a server that others use.
    """
    return not getSecurityManager().calledByExecutable()


def mapped(array: ZBigArray) -> numpy.ndarray:
    """All of an array as one view of its mapping, which takes addresses and no memory until it is touched."""
    view: numpy.ndarray = array[:]
    return view
