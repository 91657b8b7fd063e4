"""Scripts for tests: added to a site, and run as a user."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from Products.ERP5Wendelin.content.python_script import PythonScript
from Products.ERP5Wendelin.content.scripts import run, script_of
from Products.ERP5Wendelin.portal.root import ERP5Site
from support.site import as_user


def add_script(site: ERP5Site, id: str, body: str, parameters: str = "", folder: str = "portal_skins/custom") -> Any:
    """Add a script, as the system does when it installs a template; return it."""
    with as_user(site, "system"):
        container = site.unrestrictedTraverse(folder)
        container._setObject(id, PythonScript(id), set_owner=False)
        container._getOb(id).ZPythonScript_edit(parameters, dedent(body))
        return container._getOb(id)


def run_text(site: ERP5Site, body: str) -> Any:
    """Run the text of a script for the site as whoever is logged in; return what it returns."""
    custom = site.portal_skins.custom
    if "probe" in custom.objectIds():
        custom._delObject("probe")
    add_script(site, "probe", body)
    return run(script_of(site, "probe"))
