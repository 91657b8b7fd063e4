"""Movements: lines that say what goes in or out of something that happens, or is to happen, and of which resource.

State (public format): that of `content.base`.
"""

from __future__ import annotations

from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared

PARTIES = (
    "source",
    "source_section",
    "source_project",
    "destination",
    "destination_section",
    "destination_project",
)
"""The base categories of who gives and who takes."""

AGGREGATED = ("Data Set", "Data Stream", "Data Bucket Stream", "Data Array", "Progress Indicator")
"""The portal types that have accessors of their own among what a movement aggregates."""


@declared
class Movement(Base):
    """A line of something that happens, or is to happen."""

    security = ClassSecurityInfo()
    security.declarePrivate("typed_categories")

    portal_type = meta_type = "Movement"
    properties: ClassVar[dict[str, str]] = {
        "int_index": "int",
        "quantity": "float",
        "start_date": "date",
        "stop_date": "date",
    }
    base_categories = ("resource", "use", "aggregate", "quantity_unit", *PARTIES, "specialise", "causality")
    typed_categories: ClassVar[dict[str, tuple[str, ...]]] = {"aggregate": AGGREGATED}
    """Base category -> portal types, those of which have accessors such as `getAggregateDataStreamValue`."""
