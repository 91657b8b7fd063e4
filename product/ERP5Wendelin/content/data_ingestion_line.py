"""Data Ingestion Line: what an ingestion does, and what it brings.

The line `ingestion_operation` has for its resource the Data Operation whose script takes what arrives; the line
`out_stream` the Data Product that comes of it, and aggregates the documents it goes to. Who may see or change a line
follows from the ingestion it is in.

State (public format): that of `content.movement`.
"""

from __future__ import annotations

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.movement import Movement
from Products.ERP5Wendelin.permissions import View


@declared
class DataIngestionLine(Movement):
    """A line of a Data Ingestion."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Ingestion Line"

    @security.protected(View)
    def getSimulationState(self) -> str:
        """The state of the ingestion it is in."""
        return self.getParentValue().getSimulationState()
