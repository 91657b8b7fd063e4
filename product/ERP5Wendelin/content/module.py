"""Base of the modules: folders of documents of one portal type each.

A module is a BTree, so that it may hold millions; ids are 64 random bits in hexadecimal, so that concurrent additions
change different keys of it and do not conflict.

State (public format): BTreeFolder2's (`id`, `title`, `_tree`, `_count`, `_mt_index`).
"""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.OIBTree import OIBTree
from Products.CMFCore.CMFBTreeFolder import CMFBTreeFolder
from zope.event import notify
from zope.lifecycleevent import ObjectCreatedEvent

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.permissions import AccessContentsInformation, AddDataSet


def new_id() -> str:
    """An id that nobody else has: 64 random bits, in hexadecimal."""
    return secrets.token_hex(8)


@declared
class Module(CMFBTreeFolder):
    """A folder of documents; subclasses set `portal_type`, `meta_type` (equal) and `_document_class`."""

    security = ClassSecurityInfo()
    security.declareObjectProtected(AccessContentsInformation)

    portal_type = meta_type = "Module"
    _document_class: ClassVar[type[Base]]

    def __init__(self, id: str, title: str = "") -> None:
        super().__init__(id, title)
        # made here, since two connections that each added the first document would both make it, and conflict
        self._mt_index[self._document_class.meta_type] = OIBTree()

    @security.protected(AddDataSet)
    def newContent(self, portal_type: str | None = None, id: str | None = None, **properties: Any) -> Any:
        """Add a document and return it, wrapped. BadInput for a portal type that this module does not hold."""
        expected = self._document_class.portal_type
        if portal_type not in (None, expected):
            raise BadInput(f"{self.getId()} holds {expected} documents, not {portal_type!r}.")
        document = self._document_class(id or new_id(), **properties)
        notify(ObjectCreatedEvent(document))
        self._setObject(document.getId(), document)
        return self._getOb(document.getId())


def document_type_of(module_class: type[Module]) -> str:
    """The portal type of a module's documents."""
    return module_class._document_class.portal_type
