"""The module of Data Arrays, and of those that arrive: which are being written, and are no documents yet.

State (public format): that of `content.module`, and `_arrivals` (OOBTree key -> `storage.array_arrival.ArrayArrival`;
None as long as there was none).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.OOBTree import OOBTree

from Products.ERP5Wendelin.content.data_array import DataArray
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.module import Module
from Products.ERP5Wendelin.storage.array_arrival import ArrayArrival


@declared
class DataArrayModule(Module):
    """The folder of all Data Arrays."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Array Module"
    _document_classes = (DataArray,)

    _arrivals: OOBTree | None = None

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
    def dropExpiredArrivals(self, time: datetime, keep_going: Callable[[], bool]) -> int:
        """In the current transaction give up what nobody goes on with, while `keep_going()`; how many."""
        count = 0
        for key, arrival in list((self._arrivals or {}).items()):
            if not keep_going():
                break
            if arrival.is_expired(time):
                self.dropArrival(key)
                count += 1
        return count
