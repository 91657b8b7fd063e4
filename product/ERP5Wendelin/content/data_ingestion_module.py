"""The module of Data Ingestions: one document for each arrival of data.

What arrives chunk by chunk under a tag has one Data Ingestion that is running, and documents that its data goes to.
They are found here, not by the catalogue: by BTrees, so that two transactions that make the same one conflict.

State (public format): that of `content.module`, and `_running`, OOBTree (policy id, tag) -> id of a Data Ingestion, and
`_sinks`, OOBTree (portal type, tag) -> relative URL of a document; both None until there is something in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.OOBTree import OOBTree

from Products.ERP5Wendelin.content import relation
from Products.ERP5Wendelin.content.data_ingestion import DataIngestion
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.module import Module


@declared
class DataIngestionModule(Module):
    """The folder of all Data Ingestions."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Ingestion Module"
    _document_classes = (DataIngestion,)

    _running: OOBTree | None = None
    _sinks: OOBTree | None = None

    @security.private
    def getRunning(self, policy: str, tag: str) -> Any:
        """The Data Ingestion that was noted last for a policy's tag, or None; it may have ended since."""
        id = None if self._running is None else self._running.get((policy, tag))
        return None if id is None else self._getOb(id, None)

    @security.private
    def runningItems(self) -> Iterator[tuple[str, Any]]:
        """For each tag of each policy, the policy's id and the Data Ingestion that was noted last."""
        for (policy, _), id in (self._running or {}).items():
            ingestion = self._getOb(id, None)
            if ingestion is not None:
                yield policy, ingestion

    @security.private
    def noteRunning(self, policy: str, tag: str, ingestion: Any) -> None:
        """Note the Data Ingestion of a policy's tag, in place of the one before."""
        if self._running is None:
            self._running = OOBTree()
        self._running[policy, tag] = ingestion.getId()

    @security.private
    def getSink(self, portal_type: str, tag: str) -> Any:
        """The document that was noted last for what a tag's data goes to, or None; it may be invalidated since."""
        url = None if self._sinks is None else self._sinks.get((portal_type, tag))
        return None if url is None else relation.find(self.getPortalObject(), url)

    @security.private
    def noteSink(self, tag: str, sink: Any) -> None:
        """Note a document that a tag's data goes to, in place of the one of its portal type before."""
        if self._sinks is None:
            self._sinks = OOBTree()
        self._sinks[sink.getPortalType(), tag] = sink.getRelativeUrl()
