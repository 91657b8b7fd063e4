"""Alarms and scripts, as administrators add them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from Products.ERP5Wendelin.content.python_script import PythonScript

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def add_script(site: Any, id: str, body: str, parameters: str = "") -> None:
    """Put a script into the skins' layer `custom`, in place of the one of this id."""
    custom = site.portal_skins.custom
    if id in custom.objectIds():
        custom._delObject(id)
    script = PythonScript(id)
    script.write(f"##parameters={parameters}\n{body}\n")
    custom._setObject(id, script)


def add_alarm(site: Any, id: str, script_id: str, **properties: Any) -> Any:
    """Add an alarm that is due each minute, and was made at START."""
    schedule = {"enabled": True, "periodicity_start_date": START, "periodicity_minute_frequency": 1}
    alarm = site.portal_alarms.newContent(id=id, active_sense_method_id=script_id, **{**schedule, **properties})
    alarm.created = START
    return alarm
