"""With whose rights a Data Transformation works: those of its owner, and not those of the alarm.

Otherwise who may add a transformation could have scripts read data that they themselves may not see. An analysis works
with its own owner's rights: that is the transformation's owner, who made it, or whoever else made one by hand. What has
no owner, such as what a business template has brought, works as the system user.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from AccessControl.users import system

from Products.ERP5Wendelin.content.acting import acting_as
from Products.ERP5Wendelin.errors import NotAuthorised


def as_owner(document: Any) -> AbstractContextManager[None]:
    """Act as the owner of a transformation or an analysis. NotAuthorised: there was one, and is none any more."""
    return acting_as(owner_of(document))


def owner_of(document: Any) -> Any:
    """The user a transformation or an analysis belongs to."""
    owner = document.getOwnerTuple()
    if owner is None:
        return system
    users = document.getPortalObject().acl_users
    user = users.getUserById(owner[1])
    if user is None:
        raise NotAuthorised(
            f"The owner of {document.getRelativeUrl()}, {owner[1]!r}, is no user any more: invalidate or cancel it, "
            "and let somebody else make it anew."
        )
    return user.__of__(users)
