"""The module of data sets: references are unique here, and content can be found whichever data set has it.

State (public format): that of `content.module`, and `_references` (OOBTree reference -> id), `_contents` (OOTreeSet of
digest + id, 32 bytes and ASCII: which data sets have had a file of at least SMALL_FILE_SIZE with that sha-256).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.OOBTree import OOBTree, OOTreeSet
from Products.CMFCore.interfaces import ICatalogTool
from zope.component import getUtility
from zope.interface import implementer

from Products.ERP5Wendelin.content.data_set import DataSet
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.module import Module
from Products.ERP5Wendelin.content.path import check_reference
from Products.ERP5Wendelin.content.query import prefixes
from Products.ERP5Wendelin.content.state import checked_state
from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.interfaces import IDataSetModule
from Products.ERP5Wendelin.permissions import AccessContentsInformation, AddDataSet
from Products.ERP5Wendelin.protocol import SMALL_FILE_SIZE

LAST = b"\xff"
"""Greater than any id."""


@declared
@implementer(IDataSetModule)
class DataSetModule(Module):
    """The folder of all data sets."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Set Module"
    _document_classes = (DataSet,)

    def __init__(self, id: str, title: str = "") -> None:
        super().__init__(id, title)
        self._references = OOBTree()
        self._contents = OOTreeSet()

    @security.protected(AddDataSet)
    def newDataSet(self, reference: str, title: str = "", description: str = "") -> DataSet:
        """Add a data set in state draft and return it. BadInput for a bad reference; Conflict if it exists."""
        return self.newContent(reference=reference, title=title, description=description)

    @security.protected(AddDataSet)
    def newContent(self, portal_type: str | None = None, id: str | None = None, **properties: Any) -> DataSet:
        """Add a data set and return it; as `newDataSet`. A temporary one takes no reference from anybody."""
        if properties.get("temp_object"):
            return super().newContent(portal_type, id, **properties)
        reference = check_reference(properties.get("reference", ""))
        if reference in self._references:
            raise Conflict(f"There is a data set {reference!r} already.")
        data_set = super().newContent(portal_type, id, **properties)
        # two connections that add the same reference change the same key, so that one of them fails
        self._references[reference] = data_set.getId()
        return data_set

    def _delOb(self, id: str) -> None:
        """Forget a data set that is deleted; what `_contents` says of it stays, and finds nothing."""
        reference = self._getOb(id).reference
        super()._delOb(id)
        if self._references.get(reference) == id:
            del self._references[reference]

    @security.protected(AccessContentsInformation)
    def getDataSet(self, reference: str, default: Any = None) -> Any:
        """The data set of a reference, whatever its state, wrapped; no permission is checked."""
        id = self._references.get(reference)
        return default if id is None else self._getOb(id)

    @security.protected(AccessContentsInformation)
    def searchDataSets(self, search: str = "", state: str = "", after: str = "", limit: int = 100) -> list[DataSet]:
        """Data sets the current user may view, by reference: those greater than `after`.

        `search` has words, or beginnings of words, of reference, title or description; all of them must be found.
        """
        query: dict[str, Any] = {"portal_type": DataSet.portal_type, "sort_on": "reference", "sort_limit": limit + 1}
        if state:
            query["validation_state"] = checked_state(state)
        if after:
            query["reference"] = {"query": after, "range": "min"}
        if search.strip():
            query["words"] = prefixes(search)
        brains = getUtility(ICatalogTool).searchResults(**query)
        return [brain._unrestrictedGetObject() for brain in brains[: limit + 1] if brain.reference != after][:limit]

    @security.private
    def findContent(self, digest: bytes, may_view: Callable[[DataSet], bool]) -> Entry | None:
        """An entry with this content in any data set for which `may_view(data_set)`, or None (large files only)."""
        for key in self._contents.keys(digest, digest + LAST):
            data_set = self._getOb(key[len(digest) :].decode(), None)
            entry = data_set.manifest.find_content(digest) if data_set is not None and may_view(data_set) else None
            if entry is not None:
                return entry
        return None

    @security.private
    def noteContent(self, id: str, digest: bytes, size: int) -> None:
        """Note that a data set has got a content; small ones are not worth a look-up in all data sets."""
        if size >= SMALL_FILE_SIZE:
            self._contents.add(digest + id.encode())
