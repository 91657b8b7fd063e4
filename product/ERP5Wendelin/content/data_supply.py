"""Data Supply: who supplies which data from when to when, and what is done with it; ingestions specialise it.

State (public format): that of `content.folder` (its lines) and `content.base`.
"""

from __future__ import annotations

from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Folder
from Products.ERP5Wendelin.content.movement import PARTIES
from Products.ERP5Wendelin.content.state import ValidationState


@declared
class DataSupply(ValidationState, Folder):
    """A supply of data; its lines say which operation takes what arrives, and which products come of it."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Supply"
    properties: ClassVar[dict[str, str]] = {"version": "text", "effective_date": "date", "expiration_date": "date"}
    base_categories = (*PARTIES, "specialise")
