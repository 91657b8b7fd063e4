"""Tools that hold documents: they are part of the site, and found as its attributes.

State (public format): OFS.Folder's.
"""

from __future__ import annotations

from AccessControl.SecurityInfo import ClassSecurityInfo
from OFS.Folder import Folder
from Products.CMFCore.DynamicType import DynamicType

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import FewContents
from Products.ERP5Wendelin.permissions import AccessContentsInformation


@declared
class Tool(FewContents, DynamicType, Folder):
    """A folder of documents, by their ids; subclasses set `portal_type`, `meta_type` (equal) and `id`."""

    security = ClassSecurityInfo()
    security.declareObjectProtected(AccessContentsInformation)

    portal_type = meta_type = "Tool"

    def __init__(self, id: str = "", title: str = "") -> None:
        super().__init__(id or self.id)
        self.title = title or self.portal_type
