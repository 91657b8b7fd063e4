"""Giving up what nobody continues: pushes, and files of the original ebulk, and arrays, that came in part."""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ModuleSecurityInfo

from Products.ERP5Wendelin.alarms.budget import Budget
from Products.ERP5Wendelin.content.alarm import Report, checked_alarm
from Products.ERP5Wendelin.ingestion.ebulk import drop_expired
from Products.ERP5Wendelin.ingestion.expiry import cancel_all_expired, drop_expired_arrays

SECONDS = 60
"""How long a run goes on: the other alarms wait for it."""

security = ModuleSecurityInfo("Products.ERP5Wendelin.alarms.expiry")
security.declarePublic("expire_ingestions")


def expire_ingestions(alarm: Any) -> Report:
    """Cancel the pushes, and drop what came of files and arrays, of which nothing has arrived for so long."""
    site = checked_alarm(alarm).getPortalObject()
    budget = Budget(SECONDS, 1)
    files, problems = drop_expired(site, lambda: budget.is_left)
    pushes = cancel_all_expired(site, lambda: budget.is_left)
    arrays = drop_expired_arrays(site)
    lines = [f"Given up: {pushes} pushes, {files} files and {arrays} arrays that came in part.", *problems]
    return Report(failed=bool(problems), text="\n".join(lines))
