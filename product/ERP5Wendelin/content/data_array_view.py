"""Data Array View: columns of several arrays side by side, as one array of records that is stored nowhere.

Each of its lines names an array and what is taken of it. A line that shows records gives a column for each of their
names; any other gives one, called by the line's first name, or its reference, or `f0`, `f1`, … as NumPy calls columns
without names. The view is as long as the shortest of them, and can only be read.

State (public format): that of `content.folder`.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.array_document import ArrayDocument
from Products.ERP5Wendelin.content.data_array_view_line import DataArrayViewLine
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Folder
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.permissions import View
from Products.ERP5Wendelin.storage.array_reader import Merged


@declared
class DataArrayView(ValidationState, ArrayDocument, Folder):
    """Columns of arrays, by its lines in the order of their `int_index`."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Array View"

    @security.protected(View)
    def getArray(self, default: Any = None) -> Any:
        """What is read by slices; `default` as long as it has no line."""
        return self.getReader() if self._lines() else default

    @security.private
    def getReader(self) -> Merged:
        """The merged columns. Conflict: there is no line, or no array. BadInput: they can't be side by side."""
        lines = self._lines()
        if not lines:
            raise Conflict(f"{name_of(self)} has no line yet: add a Data Array View Line with a predecessor.")
        columns = []
        for position, line in enumerate(lines):
            reader = line.getReader()
            if not reader.shape:
                raise BadInput(f"{name_of(line)} shows one element, which can't be a column: select a slice.")
            columns.append((next(iter(line.getNameList()), "") or line.getReference() or f"f{position}", reader))
        return Merged(columns)

    @security.private
    def shown(self) -> list[DataArrayViewLine]:
        """Its lines."""
        return self._lines()

    def _lines(self) -> list[DataArrayViewLine]:
        lines = self.objectValues(portal_type=DataArrayViewLine.portal_type)
        return sorted(lines, key=lambda line: line.getIntIndex() or 0)
