"""Data Supply Line: a line that each ingestion under the supply begins with.

State (public format): that of `content.movement`.
"""

from __future__ import annotations

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.movement import Movement
from Products.ERP5Wendelin.permissions import View


@declared
class DataSupplyLine(Movement):
    """A line of a Data Supply."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Supply Line"

    @security.protected(View)
    def getValidationState(self) -> str:
        """The state of the supply it is in."""
        return self.getParentValue().getValidationState()
