"""Data Set: files under a reference, in versions, with a state that says who may see them.

State (public format): that of `content.base` and `content.ebulk_records`, and `manifest` (`content.manifest.Manifest`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Acquisition import aq_inner, aq_parent
from BTrees.OOBTree import OOBTree
from zope.interface import implementer

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.data_stream import DataStream, file_stream
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.ebulk_records import EbulkRecords
from Products.ERP5Wendelin.content.file_id import format_id
from Products.ERP5Wendelin.content.manifest import Manifest
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.content.version import Version
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.interfaces import IDataSet
from Products.ERP5Wendelin.permissions import PushData, View


@declared
@implementer(IDataSet)
class DataSet(EbulkRecords, ValidationState, Base):
    """A data set; `manifest` has its files."""

    security = ClassSecurityInfo()
    security.declarePrivate("manifest")

    portal_type = meta_type = "Data Set"

    fixed = ("reference",)

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.manifest = Manifest()

    @security.protected(View)
    def getVersion(self) -> int:
        """The number of the newest version; 0 before the first push."""
        return self.manifest.version

    @security.protected(View)
    def getSize(self) -> int:
        """Bytes in the newest version."""
        return self.manifest.size

    @security.protected(View)
    def getFileCount(self) -> int:
        """Files in the newest version."""
        return self.manifest.file_count

    @security.protected(View)
    def getDataStream(self, path: str, version: int | None = None) -> DataStream:
        """The Data Stream of a file: a document that is not stored and has this data set's state.

        NotFound: it has no such file, or no such version.
        """
        entry = self.manifest.get(path, version)
        if entry is None:
            raise NotFound(f"{self.reference} has no file {path!r}.")
        id = format_id(self.id, self.manifest.version if version is None else version, path)
        return file_stream(id, path, entry).__of__(self)

    @security.protected(PushData)
    def commit(
        self, staged: OOBTree, removed: Iterable[str], author: str, message: str, date: datetime
    ) -> Version | None:
        """Commit to the manifest, then validate a draft, and tell the catalogue and the module: see IDataSet."""
        note = partial(aq_parent(aq_inner(self)).noteContent, self.id)
        version = self.manifest.commit(staged, removed, author, message, date, new_content=note)
        if version is not None:
            self.notifyModified()
            self.reindexObject(idxs=["reference"])  # any one will do: what has changed is a column
        if self.getValidationState() == "draft":
            self.changeState("validate")
        return version
