"""Array window: a line that shows a part of an array that another document has, in the same or in another form.

`index_expression` selects elements or columns, `dtype_expression` says as what they are seen, and `name_list` renames
the columns; see `content.array_expression`. Each may be missing. What is shown is the array as it is, whenever it is
read: its bytes are stored once.

State (public format): that of `content.base`, `index_expression`, `dtype_expression` (text), `name_list` (tuple of
texts), `int_index`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy
from AccessControl.SecurityInfo import ClassSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager
from wendelin.bigarray.array_zodb import ZBigArray

from Products.ERP5Wendelin.content.array_document import ArrayDocument, all_shown, mapped
from Products.ERP5Wendelin.content.array_expression import dtype_of, selection_of
from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.permissions import View
from Products.ERP5Wendelin.storage.array_reader import ArrayReader, Column, Columns, Typed, Window
from Products.ERP5Wendelin.storage.array_shape import renamed


@declared
class ArrayWindow(ArrayDocument, Base):
    """A window on the array of what `_source` gives."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Array Window"
    advice = ""
    """What to do where it leads to no array."""
    properties: ClassVar[dict[str, str]] = {
        "index_expression": "text",
        "dtype_expression": "text",
        "name": "lines",
        "int_index": "int",
    }

    def _assign(self, properties: dict[str, Any]) -> None:
        for name, read in (("index_expression", selection_of), ("dtype_expression", dtype_of)):
            if isinstance(properties.get(name), str):
                read(properties[name])
        super()._assign(properties)

    @security.protected(View)
    def getArray(self, default: Any = None) -> Any:
        """What it shows; `default` where there is no array yet.

        Where the array itself may be mapped by who asks, it is a view of the mapping, which can be written to; else
        something that can be read by slices.
        """
        source = self._checked_source()
        array = None if source is None else source.getArray()
        if array is None:
            return default
        if isinstance(array, (ZBigArray, numpy.ndarray)):
            return self._view_of(mapped(array))
        return self.getReader()

    @security.private
    def getReader(self) -> ArrayReader:
        """What it shows, to be read. Conflict: there is no array that the user may view."""
        source = self._checked_source()
        if source is None:
            raise Conflict(f"{name_of(self)} leads to no array that you may view. {self.advice}")
        array = source.getReader()
        selected = selection_of(self.index_expression)
        reader: ArrayReader
        if isinstance(selected, str):
            reader = Column(array, selected)
        elif isinstance(selected, list):
            reader = Columns(array, selected)
        else:
            reader = Window(array, selected)
        dtype = self._dtype_of(reader.dtype)
        return reader if dtype == reader.dtype else Typed(reader, dtype)

    @security.private
    def shown(self) -> list[ArrayDocument]:
        """The document whose array it shows; none where there is none that the user may view."""
        source = self._source()
        is_array = isinstance(source, ArrayDocument)
        return [source] if is_array and getSecurityManager().checkPermission(View, source) else []

    def _source(self) -> Any:
        """The document whose array it shows."""
        raise NotImplementedError

    def _checked_source(self) -> ArrayDocument | None:
        """The same; None where there is none that the user may view. Conflict: it shows itself."""
        return next(iter(all_shown(self)), None)

    def _view_of(self, array: numpy.ndarray) -> numpy.ndarray:
        selected: Any = selection_of(self.index_expression)
        part: numpy.ndarray = array[selected]
        return part.view(self._dtype_of(part.dtype))

    def _dtype_of(self, source: numpy.dtype) -> numpy.dtype:
        dtype = dtype_of(self.dtype_expression) or source
        # one name of what is no record is the name that it has as a column of a view
        return renamed(dtype, self.name_list) if self.name_list and (dtype.names or len(self.name_list) > 1) else dtype
