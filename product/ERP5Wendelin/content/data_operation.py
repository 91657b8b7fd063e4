"""Data Operation: something that can be done with data; a script does it.

State (public format): that of `content.base`.
"""

from __future__ import annotations

from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.state import ValidationState


@declared
class DataOperation(ValidationState, Base):
    """An operation; `script_id` names the script, which `content.scripts` finds."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Operation"
    properties: ClassVar[dict[str, str]] = {"version": "text", "script_id": "text", "aggregated_portal_type": "lines"}
    base_categories = ("use", "quantity_unit")
