"""With whose rights a Data Transformation works: those of its owner, and not those of the alarm.

Otherwise who may add a transformation could have scripts read data that they themselves may not see. What has no owner,
such as what a business template has brought, works as the system user.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from AccessControl.SecurityManagement import getSecurityManager, newSecurityManager, setSecurityManager
from AccessControl.users import system

from Products.ERP5Wendelin.errors import NotAuthorised


@contextmanager
def as_owner(transformation: Any) -> Iterator[None]:
    """Act as the owner of a transformation. NotAuthorised: there was one, and is none any more."""
    before = getSecurityManager()
    newSecurityManager(None, owner_of(transformation))
    try:
        yield
    finally:
        setSecurityManager(before)


def owner_of(transformation: Any) -> Any:
    """The user a transformation belongs to."""
    owner = transformation.getOwnerTuple()
    if owner is None:
        return system
    users = transformation.getPortalObject().acl_users
    user = users.getUserById(owner[1])
    if user is None:
        raise NotAuthorised(
            f"The owner of {transformation.getRelativeUrl()}, {owner[1]!r}, is no user any more: invalidate the "
            "transformation, and let somebody else make it anew."
        )
    return user.__of__(users)
