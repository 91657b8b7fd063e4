"""Modules: folders of many documents.

A module is a BTree, so that it may hold millions; ids are 64 random bits in hexadecimal, so that concurrent additions
change different keys of it and do not conflict.

State (public format): BTreeFolder2's (`id`, `title`, `_tree`, `_count`, `_mt_index`), and `portal_type` where the class
does not say it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.OIBTree import OIBTree
from Products.CMFCore.CMFBTreeFolder import CMFBTreeFolder

from Products.ERP5Wendelin.content.accessors import of_type
from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Container
from Products.ERP5Wendelin.permissions import AccessContentsInformation, AddDataSet


@declared
class Module(Container, CMFBTreeFolder):
    """A folder of documents."""

    security = ClassSecurityInfo()
    security.declareObjectProtected(AccessContentsInformation)

    portal_type = meta_type = "Module"
    _document_classes: ClassVar[tuple[type[Base], ...]] = ()
    """The classes of the documents of which many are made at the same time."""

    def __init__(self, id: str, title: str = "") -> None:
        super().__init__(id, title)
        # made here, since two connections that each added the first document would both make it, and conflict
        for document_class in self._document_classes:
            self._mt_index[document_class.meta_type] = OIBTree()

    @security.protected(AddDataSet)
    def newContent(self, portal_type: str | None = None, id: str | None = None, **properties: Any) -> Any:
        """Make a document and return it, wrapped; see `content.folder`."""
        return super().newContent(portal_type, id, **properties)

    def _class_of(self, info: Any) -> type:
        # the portal types of a site that 0.1 made name no class
        return super()._class_of(info) if hasattr(info, "documentClass") else self._document_classes[0]

    @security.protected(AccessContentsInformation)
    def objectValues(self, spec: Any = None, portal_type: str | Iterable[str] | None = None) -> Any:
        """What it contains, lazily; of a portal type, or of several, if that is given."""
        found = super().objectValues(spec)
        return found if portal_type is None else list(of_type(found, portal_type))
