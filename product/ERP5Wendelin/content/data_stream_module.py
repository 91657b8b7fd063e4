"""The module of Data Streams: those that agents append to are stored in it, and the files of data sets are found by it.

A file's stream is not stored: its id names data set, version and path (`content.file_id`), and it is in its data set,
whose state says who may see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Products.CMFCore.interfaces import ICatalogTool
from zope.component import getUtility

from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.file_id import parse_id
from Products.ERP5Wendelin.content.module import Module
from Products.ERP5Wendelin.content.query import prefixes
from Products.ERP5Wendelin.content.state import IN_USE, checked_state
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.permissions import AccessContentsInformation

_NONE = object()


def _references(query: dict[str, Any], after: str, size: int) -> Iterator[str]:
    """The references greater than `after` of what a query finds, in their order, each once; `size` looked up at a time.

    Of streams that are not in use there may be many with the same one.
    """
    while True:
        brains = getUtility(ICatalogTool).searchResults(
            **query, reference={"query": after, "range": "min"}, sort_on="reference", sort_limit=size
        )
        found = [brain.reference for brain in brains[:size]]
        references = [reference for reference in dict.fromkeys(found) if reference != after]
        yield from references
        if len(found) < size:
            return
        if references:
            after = references[-1]
        else:
            size *= 2


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
        found = getUtility(ICatalogTool).searchResults(portal_type=DataStream.portal_type, reference=reference)
        streams = [brain._unrestrictedGetObject() for brain in found]
        return max(streams, key=lambda stream: (stream.getValidationState() in IN_USE, stream.created), default=None)

    @security.protected(AccessContentsInformation)
    def searchDataStreams(
        self, search: str = "", state: str = "", after: str = "", limit: int = 100
    ) -> list[DataStream]:
        """What `getDataStream` finds of the references greater than `after`, in their order.

        `search` has words, or beginnings of words, of reference, title or description; all of them must be found.
        """
        query: dict[str, Any] = {"portal_type": DataStream.portal_type}
        if state:
            query["validation_state"] = checked_state(state)
        if search.strip():
            query["words"] = prefixes(search)
        streams = map(self.getDataStream, _references(query, after, limit + 1))
        # of several streams of a reference the one that is found may have another state
        return list(islice((stream for stream in streams if state in ("", stream.getValidationState())), limit))

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
