"""ERP5 Wendelin: a data lake in a Zope site."""

from typing import Any

from AccessControl.Permission import addPermission

from Products.ERP5Wendelin.content import restricted
from Products.ERP5Wendelin.permissions import DEFAULT_ROLES


def initialize(context: Any) -> None:
    """Make our permissions, and what scripts may do, known to Zope, which calls this when it starts."""
    for permission, roles in DEFAULT_ROLES.items():
        addPermission(permission, roles)
    restricted.install()
