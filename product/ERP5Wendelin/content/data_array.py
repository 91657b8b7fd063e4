"""Data Array: a document over an n-dimensional array that may be much larger than memory.

State (public format): that of `content.base`, and `array` (IArray; None until `initArray`).
"""

from __future__ import annotations

from typing import Any

from AccessControl.class_init import InitializeClass
from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.state import change_state, state_of
from Products.ERP5Wendelin.permissions import ModifyPortalContent, View


class DataArray(Base):
    """An array with a shape and a dtype, with ERP5's methods."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Array"

    array: Any = None

    @security.protected(View)
    def getValidationState(self) -> str:
        """'draft', 'validated', 'published' or 'invalidated'."""
        return state_of(self, "validation_state")

    @security.protected(ModifyPortalContent)
    def changeState(self, transition: str) -> None:
        """'validate', 'publish' or 'invalidate' it. WrongState: not from its state. NotAuthorised: not by this user."""
        change_state(self, "validation_state", transition)


InitializeClass(DataArray)
