"""Giving up what nobody continues: pushes, and files of the original ebulk that came in part."""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ModuleSecurityInfo

from Products.ERP5Wendelin.content.alarm import Report, checked_alarm
from Products.ERP5Wendelin.ingestion.ebulk import drop_expired
from Products.ERP5Wendelin.ingestion.expiry import cancel_all_expired

security = ModuleSecurityInfo("Products.ERP5Wendelin.alarms.expiry")
security.declarePublic("expire_ingestions")


def expire_ingestions(alarm: Any) -> Report:
    """Cancel the pushes, and drop the pieces of files, of which nothing has arrived for so long that they expired."""
    site = checked_alarm(alarm).getPortalObject()
    files = drop_expired(site)
    pushes = cancel_all_expired(site)
    return Report(failed=False, text=f"Given up: {pushes} pushes, {files} files that came in part.")
