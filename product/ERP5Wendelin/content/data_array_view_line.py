"""Data Array View Line: the columns that a Data Array View has from one array, its predecessor.

State (public format): that of `content.array_window`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.array_window import ArrayWindow
from Products.ERP5Wendelin.content.declaration import declared


@declared
class DataArrayViewLine(ArrayWindow):
    """A part of another Data Array, line or view."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Array View Line"
    advice = "Set its predecessor to one."
    base_categories: ClassVar[tuple[str, ...]] = ("predecessor",)

    def _source(self) -> Any:
        return self.getPredecessorValue()
