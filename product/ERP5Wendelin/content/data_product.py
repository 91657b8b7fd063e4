"""Data Product: a kind of data, such as what a type of sensor sends, or what an analysis makes of it.

State (public format): that of `content.base`.
"""

from __future__ import annotations

from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.state import ValidationState


@declared
class DataProduct(ValidationState, Base):
    """A product; `aggregated_portal_type_list` says in what documents such data is kept."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Product"
    properties: ClassVar[dict[str, str]] = {"version": "text", "aggregated_portal_type": "lines"}
    base_categories = ("use", "quantity_unit")
