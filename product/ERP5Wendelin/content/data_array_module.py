"""The module of Data Arrays, and of those that arrive: which are being written, and are no documents yet.

State (public format): that of `content.module`, and `_arrivals` (OOBTree key -> `storage.array_arrival.ArrayArrival`;
None as long as there was none).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.OOBTree import OOBTree
from Products.CMFCore.interfaces import ICatalogTool
from zope.component import getUtility

from Products.ERP5Wendelin.content.by_reference import found_by_reference, search_by_reference
from Products.ERP5Wendelin.content.data_array import DataArray
from Products.ERP5Wendelin.content.data_array_view import DataArrayView
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.module import Module
from Products.ERP5Wendelin.content.path import REFERENCE_LENGTH, check_reference
from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.permissions import AccessContentsInformation, AddDataSet
from Products.ERP5Wendelin.storage.array_arrival import ArrayArrival

ARRAYS = (DataArray.portal_type, DataArrayView.portal_type)
"""Portal types of what can be read as an array, and has a reference for that."""


@declared
class DataArrayModule(Module):
    """The folder of all Data Arrays."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Array Module"
    _document_classes = (DataArray,)

    _arrivals: OOBTree | None = None

    @security.protected(AddDataSet)
    def newDataArray(self, reference: str, title: str = "") -> DataArray:
        """Add an array without elements in state draft and return it.

        BadInput for a bad reference; it may have slashes. Conflict if an array has it, whatever its state and whoever
        may view it.
        """
        self.checkFree(reference)
        return self.newContent(portal_type=DataArray.portal_type, reference=reference, title=title)

    @security.private
    def checkFree(self, reference: str) -> None:
        """BadInput, Conflict: no array of this reference can be made; see `newDataArray`."""
        if "/" in reference and not all(reference.split("/")):
            raise BadInput(f"The reference {reference!r} has an empty part: write one slash between two names.")
        for part in reference.split("/"):
            check_reference(part)
        if len(reference) > REFERENCE_LENGTH:
            raise BadInput(f"The reference of the array is longer than {REFERENCE_LENGTH} characters.")
        catalogue = getUtility(ICatalogTool)
        if len(catalogue.unrestrictedSearchResults(portal_type=ARRAYS, reference=reference)):
            holder = "" if self.getDataArray(reference) is not None else ", by an array that you may not see"
            raise Conflict(f"The reference {reference!r} is taken{holder}. Choose another.")

    @security.protected(AccessContentsInformation)
    def getDataArray(self, reference: str) -> Any:
        """The array or view of a reference, wrapped, that is in use and that the current user may view; None: none is.

        Otherwise one that is not in use, for its elements can still be read. Of several the newest.
        """
        return found_by_reference(ARRAYS, reference)

    @security.protected(AccessContentsInformation)
    def searchDataArrays(self, search: str = "", state: str = "", after: str = "", limit: int = 100) -> list[DataArray]:
        """What `getDataArray` finds of the references greater than `after`, in their order.

        `search` has words, or beginnings of words, of reference, title or description; all of them must be found.
        """
        return search_by_reference(ARRAYS, search, state, after, limit)

    @security.private
    def getArrival(self, key: str) -> ArrayArrival | None:
        """What arrives under a key, which says what for, such as 'import/REFERENCE'; None if nothing does."""
        return None if self._arrivals is None else self._arrivals.get(key)

    @security.private
    def beginArrival(self, key: str, source: dict[str, Any], time: datetime) -> ArrayArrival:
        """In the current transaction begin what is to arrive under a key, in place of what did."""
        if self._arrivals is None:
            self._arrivals = OOBTree()
        arrival = self._arrivals[key] = ArrayArrival(source, time)
        return arrival

    @security.private
    def dropArrival(self, key: str) -> None:
        """In the current transaction forget what arrives under a key: it is an array of a document now, or given up."""
        if self._arrivals is not None:
            self._arrivals.pop(key, None)

    @security.private
    def dropExpiredArrivals(self, time: datetime) -> int:
        """In the current transaction give up what nobody goes on with; how many."""
        expired = [key for key, arrival in (self._arrivals or {}).items() if arrival.is_expired(time)]
        for key in expired:
            self.dropArrival(key)
        return len(expired)
