"""Data Array: a document over an n-dimensional array that may be much larger than memory.

State (public format): that of `content.folder`, `array` (IArray; None until `initArray`), `provenance` (dict of plain
values: what it was imported from; None if it was not), and `recent_chunks` (`content.recent_chunks`: what was appended
with a key, and is not to be appended again).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Acquisition import aq_base, aq_chain
from ZODB.Connection import Connection

from Products.ERP5Wendelin.content.array_document import ArrayDocument, may_map, may_write
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Folder
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.content.recent_chunks import KnowsChunks
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.permissions import PushData, View
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.array_reader import Window
from Products.ERP5Wendelin.storage.memory_array import MemoryArray


@declared
class DataArray(ValidationState, KnowsChunks, ArrayDocument, Folder):
    """An array with a shape and a dtype, with ERP5's methods; it may contain lines, which are windows on it."""

    security = ClassSecurityInfo()
    security.declarePrivate("array", "provenance")

    portal_type = meta_type = "Data Array"

    array: Array | MemoryArray | None = None
    provenance: dict[str, Any] | None = None

    @security.protected(PushData)
    def initArray(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Make it an array of zeros, in place of what it was; return what `getArray` does.

        That of a temporary document is in memory. BadInput for a shape or dtype that can't be stored.
        """
        if self.isTempObject():
            self.array = MemoryArray(shape, dtype)
        else:
            array = Array(shape, dtype)
            connection = _connection_of(self)
            if connection is not None:
                array.enter(connection)
            self.array = array
        self.provenance = None
        return self.getArray()

    @security.protected(View)
    def getArray(self, default: Any = None) -> Any:
        """The array; `default` until `initArray`.

        Trusted code of who may push gets the ZBigArray itself, to map it; a script gets one with items, `append` and
        `resize` that are read from and written to blocks; who may only view, one that can only be read.
        """
        if self.array is None:
            return default
        if not may_write(self):
            return Window(self.array)
        return self.array.zarray if isinstance(self.array, Array) and may_map() else self.array

    @security.protected(PushData)
    def setArrayIndex(self, index: Any, values: Any) -> None:
        """Write values, or one for all, to what a basic index selects. BadInput where they don't fit."""
        self.getReader()[index] = values

    @security.protected(PushData)
    def appendArray(self, values: Any) -> None:
        """Append along the first axis. BadInput when the other axes differ."""
        self.getReader().append(values)

    @security.protected(PushData)
    def resizeArray(self, shape: tuple[int, ...]) -> None:
        """Change the length of the first axis: what is cut off is gone, and what is added is zeros.

        BadInput when another axis would change.
        """
        self.getReader().resize(shape)

    @security.protected(PushData)
    def setArrayDtypeNames(self, names: Sequence[str]) -> None:
        """Give its columns other names. BadInput: it has not as many columns, or these can't be names."""
        self.getReader().rename(names)

    @security.protected(View)
    def getProvenance(self) -> dict[str, Any] | None:
        """What it was imported from: `data_set`, `version`, `path`, `digest`, `format`, `key`, and what a file says."""
        return None if self.provenance is None else dict(self.provenance)

    @security.protected(View)
    def getSize(self) -> int:
        """How many bytes its elements take; 0 until `initArray`."""
        return 0 if self.array is None else self.array.nbytes

    @security.private
    def getReader(self) -> Array | MemoryArray:
        """What its elements are read from, and written to. Conflict until `initArray`."""
        if self.array is None:
            raise Conflict(f"{name_of(self)} has no array yet: give it one with initArray.")
        return self.array


def _connection_of(document: Any) -> Connection | None:
    """The connection to the database that a document is in, or will be when what contains it is."""
    connections = (aq_base(parent)._p_jar for parent in aq_chain(document) if hasattr(aq_base(parent), "_p_jar"))
    return next((connection for connection in connections if connection is not None), None)
