"""The module of Data Streams: those that agents append to are stored in it, and the files of data sets are found by it.

A file's stream is not stored: its id names data set, version and path (`content.file_id`), and it is in its data set,
whose state says who may see it.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.by_reference import found_by_reference, search_by_reference
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.file_id import parse_id
from Products.ERP5Wendelin.content.module import Module
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.permissions import AccessContentsInformation

_NONE = object()


@declared
class DataStreamModule(Module):
    """The folder of all Data Streams."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Stream Module"
    _document_classes = (DataStream,)

    def _getOb(self, id: str, default: Any = _NONE) -> Any:
        stored = super()._getOb(id, None)
        found = self._file(id) if stored is None else stored
        if found is not None:
            return found
        if default is _NONE:
            raise KeyError(id)
        return default

    @security.protected(AccessContentsInformation)
    def getDataStream(self, reference: str) -> Any:
        """The stream of a reference, wrapped, that is in use and that the current user may view; None if there is none.

        Otherwise one that is not in use, for its data can still be read. Of several the newest.
        """
        return found_by_reference(DataStream.portal_type, reference)

    @security.protected(AccessContentsInformation)
    def searchDataStreams(
        self, search: str = "", state: str = "", after: str = "", limit: int = 100
    ) -> list[DataStream]:
        """What `getDataStream` finds of the references greater than `after`, in their order.

        `search` has words, or beginnings of words, of reference, title or description; all of them must be found.
        """
        return search_by_reference(DataStream.portal_type, search, state, after, limit)

    def _file(self, id: str) -> Any:
        """The stream of a data set's file, in its data set; None if it is the id of none."""
        named = parse_id(id)
        data_set = None if named is None else self.getPortalObject().data_set_module._getOb(named[0], None)
        if named is None or data_set is None:
            return None
        _, version, path = named
        try:
            return data_set.getDataStream(path, version)
        except NotFound:
            return None
