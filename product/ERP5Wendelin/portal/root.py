"""The site: root of a lake, with its tools as local utilities.

State (public format): PortalFolder's, and the tools and modules that `portal.setup` puts into it.
"""

from __future__ import annotations

from typing import Any

from Products.CMFCore.PortalObject import PortalObjectBase
from zope.component.hooks import setSite

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.errors import NotFound


@declared
class ERP5Site(PortalObjectBase):
    """A lake: modules of documents, and the tools they need."""

    portal_type = meta_type = "ERP5 Site"

    __ac_roles__ = ("Contributor", "Downloader")
    """Roles defined here, besides Zope's Manager, Owner, Authenticated and Anonymous."""


def enter_site(app: Any, id: str = "erp5") -> ERP5Site:
    """The site of a Zope application, made the current one of this thread, as the publisher does on its way to it.

    The tools are found through the current site; `zope.component.hooks.setSite()` leaves it. NotFound if there is none.
    """
    site = app._getOb(id, None)
    if site is None:
        raise NotFound(f"The database has no site {id!r}.")
    setSite(site)
    return site
