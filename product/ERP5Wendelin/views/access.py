"""Who asks, and what they may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from AccessControl.PermissionRole import rolesForPermissionOn
from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_base, aq_inner, aq_parent

from Products.ERP5Wendelin.permissions import View

NAMED_ROLES = ("Contributor", "Downloader", "Manager")
"""Roles that a user is given."""

PUBLIC = "zope.Public"
"""In place of a permission: everybody may."""

OWN_PAGES = ("same-origin", "none")
"""Values of Sec-Fetch-Site of what a browser sends for our pages, or for its user."""


def is_known() -> bool:
    """Whether who asks has authenticated."""
    return user_id() is not None


def user_id() -> str | None:
    """The id of who asks, None for anonymous."""
    user = getSecurityManager().getUser()
    return None if user is None else user.getId()


def name_in(users: Any) -> str | None:
    """The name of who asks if it is a user of this folder, None for anonymous, and for Zope's own users."""
    user = getSecurityManager().getUser()
    return user_id() if aq_base(aq_parent(aq_inner(user))) is aq_base(users) else None


def may(permission: str, context: Any) -> bool:
    """Whether who asks has a permission on an object."""
    return permission == PUBLIC or bool(getSecurityManager().checkPermission(permission, context))


def roles_with(permission: str, context: Any) -> list[str]:
    """The roles that have a permission on an object, as the command line calls them."""
    return sorted(role.lower() for role in rolesForPermissionOn(permission, context) if role in NAMED_ROLES)


def may_view(context: Any) -> bool:
    """Whether who asks may see an object."""
    return may(View, context)


def is_asked_by_another_site(environ: Mapping[str, Any], url: str) -> bool:
    """Whether another site's page makes a browser send this request, with the password that the browser remembers.

    `url` is where the site is. Browsers say it by Sec-Fetch-Site, over https; otherwise the page's Origin goes with
    whatever may change something. Other clients send neither.
    """
    fetch_site = environ.get("HTTP_SEC_FETCH_SITE")
    if fetch_site is not None:
        return fetch_site not in OWN_PAGES
    origin = environ.get("HTTP_ORIGIN")
    return origin is not None and origin.partition("://")[2] not in (environ.get("HTTP_HOST"), urlsplit(url).netloc)
