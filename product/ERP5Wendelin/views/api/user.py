"""`/user`: who asks."""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.views.call import Call

IMPLIED_ROLES = {"Anonymous", "Authenticated", "Member", "Owner"}
"""Roles that say nothing about what a user may do here."""


def read(call: Call) -> dict[str, Any]:
    """GET."""
    user = getSecurityManager().getUser()
    return {"name": user.getUserName(), "roles": sorted(set(user.getRolesInContext(call.site)) - IMPLIED_ROLES)}
