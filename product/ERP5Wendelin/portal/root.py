"""The site: root of a lake, with its tools as local utilities.

State (public format): PortalFolder's, and the tools and modules that `portal.setup` puts into it.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Products.CMFCore.PortalObject import PortalObjectBase

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.located import Located
from Products.ERP5Wendelin.content.module import Module
from Products.ERP5Wendelin.content.scripts import CALLABLES, SKINS, find_script
from Products.ERP5Wendelin.errors import NotFound


@declared
class ERP5Site(Located, PortalObjectBase):
    """A lake: modules of documents, and the tools they need."""

    portal_type = meta_type = "ERP5 Site"

    security = ClassSecurityInfo()

    # but for a tab that CMFCore offers, and its own security refuses to everybody
    manage_options = tuple(tab for tab in PortalObjectBase.manage_options if tab["label"] != "Components Folder")

    __ac_roles__: tuple[str, ...] = ()
    """Roles defined here, by business templates, besides Zope's Manager, Owner, Authenticated and Anonymous."""

    def __getattr__(self, name: str) -> Any:
        """A script, or another object of the skins, by its name: for itself and all that acquire from it."""
        found = None
        if name[:1] not in ("_", "@", "+", "") and not name.startswith("aq_") and name not in (SKINS, CALLABLES):
            found = find_script(self, name)
        if found is None:
            raise AttributeError(name)
        return found

    @security.public
    def setupCurrentSkin(self, REQUEST: Any = None) -> None:
        """Do nothing: CMF would keep the skins of a request in a global of its thread, which outlives changes."""

    @security.public
    def getDefaultModule(self, portal_type: str) -> Any:
        """The module that takes documents of a portal type. NotFound: there is none."""
        for module in self.objectValues():
            info = self.portal_types.getTypeInfo(module) if isinstance(module, Module) else None
            if info is not None and portal_type in info.allowed_content_types:
                return module
        raise NotFound(f"The site has no module for {portal_type!r}: a business template that brings it is missing.")

    @security.public
    def getDefaultModuleId(self, portal_type: str) -> str:
        """The id of that module."""
        return str(self.getDefaultModule(portal_type).getId())

    getDefaultModuleValue = getDefaultModule
    security.declarePublic("getDefaultModuleValue")
