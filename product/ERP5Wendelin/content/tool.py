"""Tools that hold documents: they are part of the site, and found as its attributes.

State (public format): OFS.Folder's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from OFS.Folder import Folder
from Products.CMFCore.DynamicType import DynamicType

from Products.ERP5Wendelin.content.accessors import of_type
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Container
from Products.ERP5Wendelin.permissions import AccessContentsInformation


@declared
class Tool(Container, DynamicType, Folder):
    """A folder of documents, by their ids; subclasses set `portal_type`, `meta_type` (equal) and `id`."""

    security = ClassSecurityInfo()
    security.declareObjectProtected(AccessContentsInformation)

    portal_type = meta_type = "Tool"

    def __init__(self, id: str = "", title: str = "") -> None:
        super().__init__(id or self.id)
        self.title = title or self.portal_type

    @security.protected(AccessContentsInformation)
    def objectValues(self, spec: Any = None, portal_type: str | Iterable[str] | None = None) -> list[Any]:
        """What it contains, in the order in which it was made; of a portal type, or of several, if that is given."""
        return list(of_type(super().objectValues(spec), portal_type))
