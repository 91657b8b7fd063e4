"""Alarms with scripts of their own."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.content.python_script import PythonScript


def add_script(site: Any, id: str, body: str, parameters: str = "") -> None:
    """Put a script into the skins' layer `custom`."""
    script = PythonScript(id)
    script.write(f"##parameters={parameters}\n{body}\n")
    site.portal_skins.custom._setObject(id, script)
