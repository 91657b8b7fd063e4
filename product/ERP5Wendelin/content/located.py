"""Where something of the site is: its portal, parent, and relative URL, under ERP5's names."""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Acquisition import aq_chain, aq_inner, aq_parent
from OFS.SimpleItem import PathReprProvider
from Products.CMFCore.interfaces import ISiteRoot
from zope.component import getUtility

from Products.ERP5Wendelin.content.declaration import declared


@declared
class Located(PathReprProvider):
    """Mixed into documents, modules and tools, and into the site itself; Python shows them by their paths."""

    security = ClassSecurityInfo()

    portal_type = ""

    @security.public
    def getPortalObject(self) -> Any:
        """The site it is in."""
        sites = (parent for parent in aq_chain(aq_inner(self)) if ISiteRoot.providedBy(parent))
        return next(sites, None) or getUtility(ISiteRoot)

    @security.public
    def getPortalType(self) -> str:
        """Its type, as in 'Data Set'."""
        return self.portal_type

    @security.public
    def getPath(self) -> str:
        """Its path from the root of the database, as in '/erp5/data_set_module/ID'."""
        return "/".join(self.getPhysicalPath())

    @security.public
    def getRelativeUrl(self) -> str:
        """Its path from the site, as in 'data_set_module/ID': what relations to it hold."""
        return "/".join(self.getPhysicalPath()[len(self.getPortalObject().getPhysicalPath()) :])

    @security.public
    def getUid(self) -> str:
        """What identifies it in the catalogue: its relative URL (in ERP5, a number)."""
        return self.getRelativeUrl()

    @security.public
    def getParentValue(self) -> Any:
        """What it is in."""
        return aq_parent(aq_inner(self))

    @security.public
    def getParentRelativeUrl(self) -> str:
        """The relative URL of what it is in."""
        return self.getParentValue().getRelativeUrl()

    @security.public
    def getParentUid(self) -> str:
        """What identifies in the catalogue that which it is in."""
        return self.getParentValue().getUid()

    @security.public
    def getObject(self) -> Any:
        """Itself: so that a document can stand where a row of the catalogue can."""
        return self


def name_of(document: Any) -> str:
    """What a document is called in messages: Data Stream 'sensor.one'."""
    return f"{document.getPortalType()} {document.getReference() or document.getId()!r}"
