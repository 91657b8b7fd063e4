"""Giving up what nobody continues: pushes, and files of the original ebulk that came in part."""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ModuleSecurityInfo

from Products.ERP5Wendelin.alarms.budget import Budget
from Products.ERP5Wendelin.content.alarm import Report, checked_alarm
from Products.ERP5Wendelin.ingestion.ebulk import drop_expired
from Products.ERP5Wendelin.ingestion.expiry import cancel_all_expired

SECONDS = 60
"""How long a run goes on: the other alarms wait for it."""

security = ModuleSecurityInfo("Products.ERP5Wendelin.alarms.expiry")
security.declarePublic("expire_ingestions")


def expire_ingestions(alarm: Any) -> Report:
    """Cancel the pushes, and drop the pieces of files, of which nothing has arrived for so long that they expired."""
    site = checked_alarm(alarm).getPortalObject()
    budget = Budget(SECONDS, 1)
    files, problems = drop_expired(site, lambda: budget.is_left)
    pushes = cancel_all_expired(site, lambda: budget.is_left)
    lines = [f"Given up: {pushes} pushes, {files} files that came in part.", *problems]
    return Report(failed=bool(problems), text="\n".join(lines))
