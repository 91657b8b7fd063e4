"""Data Analysis Line: what an analysis reads, what it writes, or an operation that it does.

State (public format): that of `content.movement`.
"""

from __future__ import annotations

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.movement import Movement
from Products.ERP5Wendelin.permissions import View


@declared
class DataAnalysisLine(Movement):
    """A line of a Data Analysis."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Analysis Line"

    @security.protected(View)
    def getSimulationState(self) -> str:
        """The state of the analysis it is in."""
        return self.getParentValue().getSimulationState()
