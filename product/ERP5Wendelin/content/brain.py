"""Brains: what the catalogue knows of a document that it found, without loading it."""

from __future__ import annotations

from types import MethodType
from typing import Any

from AccessControl.class_init import InitializeClass
from AccessControl.SecurityInfo import ClassSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_inner, aq_parent

from Products.ERP5Wendelin.content.accessors import shown_date
from Products.ERP5Wendelin.content.relation import find
from Products.ERP5Wendelin.permissions import View

ATTRIBUTES = (
    "id",
    "uid",
    "path",
    "relative_url",
    "portal_type",
    "reference",
    "title",
    "version",
    "validation_state",
    "simulation_state",
    "data_set",
    "creation_date",
    "modification_date",
)
"""What a brain knows by itself; all may be read by who may view the document, and nobody else gets the brain."""


class Brain:
    """A document that a search found; `getObject` loads it, and so does each of its methods that is called here."""

    security = ClassSecurityInfo()
    security.declareObjectPublic()

    __allow_access_to_unprotected_subobjects__ = dict.fromkeys(ATTRIBUTES, 1)

    def __init__(self, catalogue: Any, rid: int) -> None:
        self._catalogue = catalogue
        self._rid = rid

    @security.public
    def getObject(self) -> Any:
        """The document; None if it is gone, or if the current user may not view it."""
        document = self._unrestrictedGetObject()
        return document if document is not None and getSecurityManager().checkPermission(View, document) else None

    @security.private
    def _unrestrictedGetObject(self) -> Any:
        site = aq_parent(aq_inner(self._catalogue))
        return find(site, "/".join(self.getPath().split("/")[len(site.getPhysicalPath()) :]))

    @security.public
    def getPath(self) -> str:
        """Its path from the root of the database."""
        return self._catalogue.getpath(self._rid)

    def __repr__(self) -> str:
        return f"<Brain of {self.getPath()}>"

    def __getattr__(self, name: str) -> Any:
        if name in ("creation_date", "modification_date"):
            return shown_date(self._catalogue.value_of(self._rid, "created" if name == "creation_date" else "modified"))
        if name in ATTRIBUTES:
            return self.getPath() if name == "path" else self._catalogue.value_of(self._rid, name)
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self.getObject(), name, None)
        if isinstance(method, MethodType):
            return method
        raise AttributeError(name)


InitializeClass(Brain)
