"""Data Array Line: a named window on the Data Array that it is in.

State (public format): that of `content.array_window`.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.array_window import ArrayWindow
from Products.ERP5Wendelin.content.declaration import declared


@declared
class DataArrayLine(ArrayWindow):
    """A part of the array that it is in."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Array Line"
    advice = "Ask the owner of the Data Array that it is in."

    def _source(self) -> Any:
        return self.getParentValue()
