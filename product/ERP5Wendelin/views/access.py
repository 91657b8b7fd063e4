"""Who asks, and what they may."""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.permissions import View

PUBLIC = "zope.Public"
"""In place of a permission: everybody may."""


def is_known() -> bool:
    """Whether who asks has authenticated."""
    return user_id() is not None


def user_id() -> str | None:
    """The id of who asks, None for anonymous."""
    user = getSecurityManager().getUser()
    return None if user is None else user.getId()


def may(permission: str, context: Any) -> bool:
    """Whether who asks has a permission on an object."""
    return permission == PUBLIC or bool(getSecurityManager().checkPermission(permission, context))


def may_view(context: Any) -> bool:
    """Whether who asks may see an object."""
    return may(View, context)
