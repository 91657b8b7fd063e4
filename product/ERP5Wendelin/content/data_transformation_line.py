"""Lines of a Data Transformation: what goes in, what comes out, and which operation is done in between.

ERP5 has two portal types for them, of this one class: a Data Transformation Resource Line has a Data Product for its
resource, a Data Transformation Operation Line a Data Operation.

State (public format): that of `content.movement`.
"""

from __future__ import annotations

from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.movement import Movement
from Products.ERP5Wendelin.permissions import View


@declared
class DataTransformationLine(Movement):
    """A line; `aggregated_portal_type_list` says in what documents what comes out is kept."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Transformation Resource Line"
    properties: ClassVar[dict[str, str]] = {"aggregated_portal_type": "lines"}

    @security.protected(View)
    def getValidationState(self) -> str:
        """The state of the transformation it is in."""
        return self.getParentValue().getValidationState()
